"""Part I of the article: the small functions that lead up to a network.

Gradient descent on one weight, softmax and its Jacobian, the chain rule on one number and on a vector.
relu, tanh and softmax themselves are the layers'.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .layers import Array, Relu, Softmax, Tanh


def descend(derivative: Callable[[float], float], start: float, learning_rate: float, steps: int) -> list[float]:
    """Gradient descent on a function of one weight: the path ``w <- w - learning_rate * derivative(w)``.

    The first value is the start; one follows for each step.

    >>> descend(curve_derivative, start=10.0, learning_rate=0.25, steps=3)
    [10.0, 6.5, 4.75, 3.875]
    """
    path = [start]
    for _ in range(steps):
        path.append(path[-1] - learning_rate * derivative(path[-1]))
    return path


def curve(w: float) -> float:
    """The function that is descended, ``(w - 3)^2 + 2``.

    The article's own is a picture that is lost; this one has its minimum, 2, at w = 3.

    >>> curve(3.0)
    2.0
    """
    return (w - 3) ** 2 + 2


def curve_derivative(w: float) -> float:
    """``2 (w - 3)``.

    >>> curve_derivative(10.0)
    14.0
    """
    return 2 * (w - 3)


def chain(x: float, y: float, z: float) -> float:
    """The example of the chain rule, ``g(x, y, z) = (2 x + y) z``.

    >>> chain(1.0, -5.0, 7.0)
    -21.0
    """
    return (2 * x + y) * z


def chain_partials(x: float, y: float, z: float) -> tuple[float, float, float]:
    """The three partial derivatives of ``g = u z`` with ``u = 2 x + y``, each a product along its path.

    ``dg/dx = dg/du du/dx = z 2``, ``dg/dy = dg/du du/dy = z 1``, ``dg/dz = u``.

    >>> chain_partials(1.0, -5.0, 7.0)
    (14.0, 7.0, -3.0)
    """
    u = 2 * x + y
    dg_du, du_dx, du_dy = z, 2, 1
    return dg_du * du_dx, dg_du * du_dy, u


def softmax_jacobian(y: Array) -> Array:
    """The derivative of every output of softmax by every input, from the outputs: ``y_i (1{i = j} - y_j)``.

    Shapes: y (n,); the Jacobian (n, n), row i the output, column j the input.

    >>> import numpy as np
    >>> softmax_jacobian(np.array([0.5, 0.25, 0.25]))
    array([[ 0.25  , -0.125 , -0.125 ],
           [-0.125 ,  0.1875, -0.0625],
           [-0.125 , -0.0625,  0.1875]])
    """
    jacobian: Array = diagonal(y) - y[:, None] * y[None, :]
    return jacobian


def composed(x: Array) -> Array:
    """``p(x) = softmax(tanh(relu(x)))``, for x (n,).

    >>> import numpy as np
    >>> composed(np.array([-1.0, -2.0]))
    array([0.5, 0.5])
    """
    f, _ = Relu().forward(x, {})
    g, _ = Tanh().forward(f, {})
    h, _ = Softmax().forward(g, {})
    return h


def composed_jacobian(x: Array) -> Array:
    """The derivative of ``composed`` as the product of three: of softmax, of tanh, of relu, in that order.

    Shapes: x (n,); the Jacobian (n, n). Those of tanh and relu are diagonal.

    >>> import numpy as np
    >>> composed_jacobian(np.array([0.0, -2.0]))
    array([[0., 0.],
           [0., 0.]])
    """
    f, _ = Relu().forward(x, {})
    g, _ = Tanh().forward(f, {})
    h, _ = Softmax().forward(g, {})
    dh_dg = softmax_jacobian(h)
    dg_df = diagonal(1 - g * g)
    df_dx = diagonal(np.where(x > 0, np.ones_like(x), np.zeros_like(x)))
    dh_dx: Array = dh_dg @ dg_df @ df_dx
    return dh_dx


def diagonal(values: Array) -> Array:
    """A square matrix with these values on its diagonal and 0 elsewhere."""
    place = np.arange(values.shape[0])
    spread = values[:, None] + np.zeros_like(values)[None, :]
    return np.where(place[:, None] == place[None, :], spread, np.zeros_like(spread))

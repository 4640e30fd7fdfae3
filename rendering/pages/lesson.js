// Stepping through the cards. Everything it shows is on the page already: it chooses, and keeps the choice in the address.
"use strict";
(() => {
  const root = document.documentElement;
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const stops = all(".stop"), stories = all(".story"), slider = one("#time"), live = one("#live"), help = one("#help");
  const wide = matchMedia("(min-width: 40rem)");
  const state = { step: 1, cell: null, fault: null };
  root.classList.add("scripted");
  if (!wide.matches) all("details.fold[open]").forEach((details) => details.removeAttribute("open"));

  const current = () => stops[state.step - 1];
  const cells = () => all(".cell", current());

  function remember() {
    const kept = new URLSearchParams();
    kept.set("step", state.step);
    if (state.cell !== null) kept.set("cell", state.cell);
    if (state.fault) kept.set("fault", state.fault);
    history.replaceState(null, "", "#" + kept);
  }

  function goTo(step, quietly) {
    state.step = Math.min(Math.max(step, 1), stops.length);
    state.cell = null;
    show(quietly);
  }

  function show(quietly) {
    stops.forEach((stop, place) => stop.classList.toggle("current", place === state.step - 1));
    const stop = current(), title = one("h3", stop).textContent.trim();
    slider.value = state.step;
    slider.setAttribute("aria-valuetext", `${state.step} of ${stops.length}: ${title}`);
    one("[data-do=previous]").disabled = state.step === 1;
    one("[data-do=next]").disabled = state.step === stops.length;
    picture(stop);
    follow();
    light();
    reachable();
    if (!quietly) {
      live.textContent = `${one(".eyebrow", stop).textContent.trim()}: ${title}`;
      const top = one(".stage").getBoundingClientRect().top;
      if (top < -8 || top > innerHeight / 2) one(".stage").scrollIntoView({ block: "start" });
      remember();
    }
  }

  // What is larger than its place is scrolled by keyboard too.
  const scrolled = ".scroll, .formula, .formulas, .unfolded ol, .story, .question, pre, .picture";
  let waiting = 0;
  function reachable() {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => {
      const parts = all(scrolled).filter((part) => part.checkVisibility()).map((part) => [part, isLarger(part)]);
      parts.forEach(([part, larger]) => larger ? part.setAttribute("tabindex", 0) : part.removeAttribute("tabindex"));
    });
  }

  function isLarger(part) {
    const higher = part.matches(".picture") && part.scrollHeight > part.clientHeight;
    return higher || part.scrollWidth > part.clientWidth;
  }

  // The drawing of the step at hand, and in it the nodes of the card at hand.
  function picture(stop) {
    const { phase, step, of = "" } = stop.dataset, drawings = all(".network");
    const drawn = drawings.find((drawing) => drawing.dataset.step === step) || drawings[drawings.length - 1];
    all(".strip li").forEach((item) => item.classList.toggle("here", item.dataset.node === of));
    drawings.forEach((drawing) => drawing.classList.toggle("current", drawing === drawn));
    if (!drawn) return;
    const back = ["backward", "sum", "clipped"].includes(phase);
    drawn.classList.toggle("back", back);
    drawn.classList.toggle("update", phase === "update");
    all(".box", drawn).forEach((box) => box.classList.toggle("here", box.dataset.nodes.split(" ").includes(of)));
    all(".edge, .label", drawn).forEach((edge) => {
      edge.classList.toggle("here", edge.dataset.node === of || (edge.dataset.tensor || " ") === of);
    });
    const here = one(".box.here", drawn), holder = one(".picture");
    if (here && holder.scrollHeight > holder.clientHeight + 8) {
      const box = here.getBoundingClientRect(), frame = holder.getBoundingClientRect();
      if (box.top < frame.top || box.bottom > frame.bottom) holder.scrollTop += box.top - frame.top - frame.height / 3;
    }
  }

  // The factors that the followed number has gained so far.
  function follow() {
    const reached = new Map(stops.map((stop, place) => [stop.dataset.operation, place + 1]));
    all(".followed tbody tr").forEach((row) => {
      const when = reached.get(row.dataset.card) || 0;
      row.classList.toggle("later", when > state.step);
      row.classList.toggle("new", when === state.step);
    });
    all(".followed tfoot tr").forEach((row) => {
      const last = stops.findIndex((stop) => stop.dataset.phase === "update") + 1;
      row.classList.toggle("later", last > 0 && state.step < last);
    });
  }

  // One number of the card: lit in its table, opened, and beside it what everyone else has.
  function light() {
    const stop = current(), some = cells();
    if (!some.length) return;
    if (!stop.dataset.home) stop.dataset.home = one(".cell.lit", stop).dataset.cell;
    const number = state.cell === null ? Number(stop.dataset.home) : Math.min(state.cell, some.length - 1);
    some.forEach((cell) => cell.classList.toggle("lit", Number(cell.dataset.cell) === number));
    const cell = some[number], opened = one(".opened", stop), item = one(`[data-opening="${number}"]`, stop);
    if (opened) opened.replaceChildren(...(item ? [...item.cloneNode(true).childNodes] : []));
    all(".sides [data-by]", stop).forEach((side) => {
      if (side.textContent.startsWith("not")) return;
      side.textContent = cell.getAttribute("data-" + side.dataset.by) || cell.dataset.full;
    });
    const label = all(".labels li", stop)[number].textContent;
    one(".lit-name", stop).textContent = label;
    const table = cell.closest("table"), tensor = table.dataset.tensor.split("/").slice(2).join("/");
    const row = cell.parentNode, place = [all("tr", table.tBodies[0]).indexOf(row), all(".cell", row).indexOf(cell)];
    all(".network.current :is(.edge, .label)").forEach((edge) => near(edge, stop, tensor, place));
    all(".array[data-tensor]", stop).forEach((array) => {
      const by = array.closest("table").dataset.framework, here = array.dataset.tensor === table.dataset.tensor;
      const number = cell.getAttribute("data-" + by) || cell.dataset.full;
      if (one(".at", array)) one(".at", array).textContent = here ? Number(number).toPrecision(6) : "";
    });
    return label;
  }

  // The lines of the drawing that the lit number is of, or that meet in its node, are those whose weights are written.
  function near(edge, stop, tensor, [row, column]) {
    const [source, target] = (edge.dataset.index || "").split(",").map(Number), own = edge.dataset.tensor === tensor;
    const here = edge.dataset.node === stop.dataset.of || (edge.dataset.tensor || " ") === stop.dataset.of;
    const leaving = stop.dataset.phase === "backward" && tensor === stop.dataset.taken;
    edge.classList.toggle("lit", own && source === row && target === column);
    edge.classList.toggle("near", here && (leaving ? source === column : target === column));
  }

  function choose(by) {
    const some = cells();
    if (!some.length) return;
    const now = some.findIndex((cell) => cell.classList.contains("lit"));
    state.cell = (now + by + some.length) % some.length;
    live.textContent = `${light()}: ${one(".cell.lit", current()).dataset.full}`;
    remember();
  }

  function reveal() {
    const details = all("details.reveal", current());
    const open = details.some((one) => !one.open);
    details.forEach((one) => { one.open = open; });
    if (open) current().classList.add("answered");
    if (!details.length) live.textContent = "nothing to reveal here";
  }

  function fault() {
    if (!stories.length) return;
    const now = stories.findIndex((story) => story.id === state.fault);
    openStory(stories[(now + 1) % stories.length]);
  }

  function openStory(story) {
    stories.forEach((other) => { other.open = other === story; });
    state.fault = story.id;
    story.scrollIntoView({ block: "start" });
    live.textContent = one("summary", story).textContent.trim();
    remember();
  }

  const doing = {
    previous: () => goTo(state.step - 1), next: () => goTo(state.step + 1), up: () => choose(-1), down: () => choose(1),
    reveal, fault, help: () => (help.open ? help.close() : help.showModal()),
  };
  const keys = { ArrowLeft: "previous", ArrowRight: "next", ArrowUp: "up", ArrowDown: "down", r: "reveal", f: "fault", "?": "help" };

  document.addEventListener("keydown", (event) => {
    const doThis = keys[event.key];
    if (!doThis || event.ctrlKey || event.metaKey || event.altKey) return;
    if (help.open && doThis !== "help") return;
    if (event.target.matches("input[type=radio], select, textarea") && event.key.startsWith("Arrow")) return;
    event.preventDefault();
    doing[doThis]();
  });
  all("[data-do]").forEach((button) => button.addEventListener("click", doing[button.dataset.do]));
  slider.addEventListener("input", () => goTo(Number(slider.value)));
  all(".cell").forEach((cell) => cell.addEventListener("click", () => {
    state.cell = Number(cell.dataset.cell);
    light();
    remember();
  }));
  stories.forEach((story) => story.addEventListener("toggle", () => {
    if (story.open) { state.fault = story.id; remember(); }
  }));
  all(".question").forEach((question) => question.addEventListener("change", (event) => {
    const right = event.target.dataset.right === "1", said = one(".said", question);
    said.textContent = right ? "✓ That is right. Why?" : "✗ Not that one. Which mistake makes it? Reveal says.";
    said.className = "said needs-script " + (right ? "good" : "bad");
    live.textContent = said.textContent;
    if (question.closest(".stop")) question.closest(".stop").classList.add("answered");
  }));

  all(".switch").forEach((both) => both.addEventListener("change", () => {
    live.textContent = one(".after-step", both).innerText.trim();
  }));

  all(".stop details.reveal").forEach((details) => details.addEventListener("toggle", () => {
    if (details.open) details.closest(".stop").classList.add("answered");
  }));

  function restore() {
    const kept = new URLSearchParams(location.hash.slice(1)), story = document.getElementById(kept.get("fault") || "");
    const plain = document.getElementById(location.hash.slice(1));
    if (plain && plain.matches(".story")) plain.open = true;
    state.step = Math.min(Math.max(Number(kept.get("step")) || 1, 1), stops.length);
    state.cell = kept.has("cell") ? Number(kept.get("cell")) || 0 : null;
    if (story && story.matches(".story")) { state.fault = story.id; story.open = true; }
    show(true);
    if (kept.has("step")) one(".stage").scrollIntoView({ block: "start" });
  }
  document.addEventListener("toggle", reachable, true);
  addEventListener("resize", reachable);
  addEventListener("hashchange", restore);
  restore();
})();

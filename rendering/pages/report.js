// Filtering and stepping. Everything can be read without: this only hides what is not looked for, and moves.
"use strict";
const root = document.documentElement;
root.classList.add("scripted");
const find = (id) => document.getElementById(id);
const filter = find("filter"), verdict = find("verdict"), subject = find("subject"), counted = find("counted");
const keys = find("keys"), keysOn = find("keys-on");

function matches(item, text, wanted, side) {
  const pairs = item.dataset.verdicts.split(";").map((pair) => pair.split(":"));
  const own = pairs.filter(([id]) => !side || id === side);
  return item.textContent.toLowerCase().includes(text) && own.some(([, found]) => found && (!wanted || found === wanted));
}

function apply() {
  const text = filter.value.trim().toLowerCase(), side = subject ? subject.value : "";
  let shown = 0, all = 0;
  for (const item of document.querySelectorAll("[data-filter]")) {
    item.hidden = !matches(item, text, verdict.value, side);
    if (item.tagName === "TR") { all += 1; shown += item.hidden ? 0 : 1; }
  }
  for (const cell of document.querySelectorAll("[data-side]")) cell.hidden = Boolean(side) && cell.dataset.side !== side;
  counted.textContent = `${shown === all ? "" : `${shown} of `}${all} shown`;
}

let current = null;  // the tensor that was last gone to

function go(article) {
  current = article;
  article.querySelector("details").open = true;
  article.focus({ preventScroll: true });
  article.scrollIntoView({ block: "start" });
}

function step(by) {
  const articles = [...document.querySelectorAll("article.tensor:not([hidden])")];
  if (!articles.length) return;
  const here = articles.indexOf(current);
  go(articles[here < 0 ? (by > 0 ? 0 : articles.length - 1) : (here + by + articles.length) % articles.length]);
}

function press(key) {
  if (key === "j") step(1);
  else if (key === "k") step(-1);
  else if (key === "/" && filter) filter.focus();
  else if (key === "?") keys.showModal();
  else return false;
  return true;
}

document.addEventListener("focusin", (event) => { current = event.target.closest("article.tensor") || current; });
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, dialog");
  if (event.key === "Escape" && event.target === filter) { filter.value = ""; apply(); }
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !keysOn?.checked) return;
  if (press(event.key)) event.preventDefault();
});
for (const button of document.querySelectorAll("[data-key]")) button.addEventListener("click", () => press(button.dataset.key));
if (filter) {
  for (const tool of [filter, verdict, subject]) tool?.addEventListener("input", apply);
  apply();
}

function arrive() {
  const target = find(location.hash.slice(1));
  if (target?.matches("article.tensor")) go(target);
}
addEventListener("hashchange", arrive);
arrive();

"use strict";
// The filter, and keys from workload to workload. Without it the page shows everything.
(() => {
  const form = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const groups = [...document.querySelectorAll(".group")].map((element) => ({
    element,
    outcome: element.dataset.o,
    open: element.open,
    counted: element.querySelector(".counted"),
    all: element.querySelector(".counted").textContent,
    entries: [...element.querySelectorAll(".entry")].map((entry) => ({
      element: entry,
      namespace: new Set(entry.dataset.n.split(" ")),
      policy: new Set(entry.dataset.p.split(" ")),
      pool: new Set(entry.dataset.q.split(" ")),
      cluster: new Set((entry.dataset.c || "").split(" ")),
      text: null,
    })),
  }));
  const total = groups.reduce((sum, group) => sum + group.entries.length, 0);
  const number = (count) => count.toLocaleString("en");
  const LISTS = ["cluster", "namespace", "policy", "pool"];

  const textOf = (entry) => (entry.text ??= entry.element.textContent.toLowerCase());
  const asked = () => {
    const of = (name) => (form.elements[name] ? form.elements[name].value : "");
    return {
      words: of("text").toLowerCase().split(/\s+/).filter(Boolean),
      outcome: of("outcome"),
      lists: LISTS.map((name) => [name, of(name)]).filter(([, value]) => value !== ""),
    };
  };
  const filter = () => {
    const { words, outcome, lists } = asked();
    const any = words.length > 0 || outcome !== "" || lists.length > 0;
    let count = 0;
    for (const group of groups) {
      let mine = 0;
      for (const entry of group.entries) {
        const fits = (outcome === "" || outcome === group.outcome)
          && lists.every(([name, value]) => entry[name].has(value))
          && words.every((word) => textOf(entry).includes(word));
        entry.element.hidden = !fits;
        mine += fits;
      }
      group.counted.textContent = any ? `${number(mine)} of ${group.all}` : group.all;
      group.element.hidden = any && mine === 0;
      group.element.open = any ? mine > 0 : group.open;
      count += mine;
    }
    shown.textContent = any
      ? `${number(count)} of ${number(total)} workloads shown`
      : `${number(total)} workload${total === 1 ? "" : "s"}`;
  };
  const visible = () => groups
    .filter((group) => group.element.open && !group.element.hidden)
    .flatMap((group) => group.entries.filter((entry) => !entry.element.hidden).map((entry) => entry.element));

  form.hidden = false;
  filter();
  let waiting = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 80);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") form.reset();
  });
  document.getElementById("open").addEventListener("click", () => visible().forEach((entry) => { entry.open = true; }));
  document.getElementById("close").addEventListener("click", () => {
    for (const entry of document.querySelectorAll(".entry[open]")) entry.open = false;
  });
  for (const link of document.querySelectorAll("a[data-pick]")) {
    link.addEventListener("click", () => {
      form.reset();
      form.elements[link.dataset.pick].value = link.dataset.value;
      if (link.dataset.outcome) form.elements.outcome.value = link.dataset.outcome;
      filter();
      document.getElementById("findings").focus({ preventScroll: true });
    });
  }
  document.addEventListener("keydown", (event) => {
    const here = event.target.closest?.(".entry > summary");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!here || !step || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const entries = visible();
    const next = entries[entries.indexOf(here.parentElement) + step];
    if (!next) return;
    event.preventDefault();
    next.querySelector("summary").focus();
  });

  // on paper, what keeps the policies from being enforced is open
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = groups.filter((group) => ["denied", "unschedulable", "failed"].includes(group.outcome))
      .flatMap((group) => group.entries.map((entry) => entry.element)).filter((entry) => !entry.open && !entry.hidden);
    for (const entry of opened) entry.open = true;
  });
  addEventListener("afterprint", () => {
    for (const entry of opened) entry.open = false;
    opened = [];
  });
})();

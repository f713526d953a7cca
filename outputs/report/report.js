"use strict";
// The page is complete without this; it adds the filters of the rows.
(() => {
  const root = document.documentElement;
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("data").textContent);
  const pageSize = 25;

  // --------------------------------------------------------------------------------------------------------------- filters
  const rowsOf = { kept: [...find("kept-rows").children], dropped: [...find("dropped-rows").children] };
  const byId = new Map([...rowsOf.dropped, ...rowsOf.kept].map((row) => [row.dataset.id, row]));
  const controls = { state: find("filter-state"), language: find("filter-language"), step: find("filter-step"), reason: find("filter-reason"), source: find("filter-source"), text: find("filter-text") };
  const folded = (text) => text.normalize("NFKC").toLowerCase();
  const searchable = new Map();
  const wordsOf = (row) => {
    if (!searchable.has(row)) searchable.set(row, folded([row.dataset.id, row.dataset.place, ...Array.from(row.querySelectorAll(".texts .text, .texts pre"), (one) => one.textContent)].join("\n")));
    return searchable.get(row);
  };
  const columns = { kept: { list: find("kept-rows"), status: find("kept-status"), more: find("kept-more"), shown: pageSize },
    dropped: { list: find("dropped-rows"), status: find("dropped-status"), more: find("dropped-more"), shown: pageSize } };
  const wanted = () => Object.fromEntries(Object.entries(controls).map(([name, control]) => [name, control.value.trim()]));
  const fits = (row, filter, needle) => ["language", "source", "step", "reason"].every((name) => !filter[name] || row.dataset[name] === filter[name]
    || (!row.dataset.step && (name === "step" || name === "reason"))) && (!needle || wordsOf(row).includes(needle));
  const inAll = (state, filter) => data.counts.reduce((sum, [language, step, reason, count]) => sum + ((step === "") === (state === "kept")
    && (!filter.language || language === filter.language) && (!step || ((!filter.step || step === filter.step) && (!filter.reason || reason === filter.reason))) ? count : 0), 0);

  const render = (keepPlace) => {
    const filter = wanted();
    const needle = folded(filter.text);
    let any = 0;
    for (const [state, column] of Object.entries(columns)) {
      column.list.parentElement.hidden = Boolean(filter.state) && filter.state !== state;
      if (!keepPlace) column.shown = pageSize;
      const rows = rowsOf[state].filter((row) => fits(row, filter, needle));
      any += column.list.parentElement.hidden ? 0 : rows.length;
      const whole = inAll(state, filter);
      column.status.textContent = needle || filter.source ? `${rows.length.toLocaleString("en")} matches in the sample` : `${rows.length.toLocaleString("en")} of ${whole.toLocaleString("en")}`;
      column.list.replaceChildren(...rows.slice(0, column.shown));
      column.more.hidden = rows.length <= column.shown;
      column.more.textContent = `Show more (${(rows.length - column.shown).toLocaleString("en")} left)`;
    }
    const hint = find("no-rows");
    hint.hidden = any > 0;
    find("no-rows-id").textContent = /^[0-9a-f]{6,32}$/.test(filter.text) ? filter.text : "ID";
  };
  const narrow = () => {
    // Reasons of the chosen step only.
    for (const option of controls.reason.options) option.hidden = Boolean(option.value && controls.step.value && option.dataset.step !== controls.step.value);
    const chosen = controls.reason.selectedOptions[0];
    if (chosen && chosen.hidden) controls.reason.value = "";
  };
  const set = (given) => { for (const [name, control] of Object.entries(controls)) control.value = given.get(name) || ""; for (const control of Object.values(controls)) if (control.selectedIndex === -1) control.value = ""; narrow(); };
  const put = (hash) => { try { history.replaceState(null, "", hash); } catch { /* not everywhere allowed for files */ } };
  const changed = () => {
    narrow();
    const given = new URLSearchParams(Object.entries(wanted()).filter(([, value]) => value));
    put("#rows" + (given.size ? "?" + given : ""));
    render();
  };
  for (const control of Object.values(controls)) control.addEventListener(control === controls.text ? "input" : "change", changed);
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("filter-clear").addEventListener("click", () => { set(new Map()); changed(); });
  for (const column of Object.values(columns)) column.more.addEventListener("click", () => {
    const at = column.shown;
    column.shown += pageSize;
    render(true);
    const next = column.list.children[at];
    if (next) next.querySelector("summary").focus();
  });

  // ---------------------------------------------------------------------------------------------------------------- places
  const chosen = find("chosen");
  const show = (id) => {
    const row = byId.get(id)?.cloneNode(true);
    if (row) row.open = true;
    find("chosen-row").replaceChildren(row || `The row ${id.slice(0, 64)} is not part of this report.`);
    chosen.hidden = false;
    chosen.scrollIntoView();
    find("chosen-title").focus({ preventScroll: true });
  };
  find("chosen-close").addEventListener("click", () => { chosen.hidden = true; put("#rows"); find("rows-title").focus(); });
  const go = () => {
    const hash = location.hash;
    if (hash.startsWith("#row=")) show(hash.slice(5).toLowerCase());
    else if (hash.startsWith("#rows?")) {
      chosen.hidden = true;
      set(new URLSearchParams(hash.slice(6)));
      render();
      find("rows").scrollIntoView();
      find("rows-title").focus({ preventScroll: true });
    }
  };
  window.addEventListener("hashchange", go);
  // A link that was followed before leads there again.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#row']");
    if (link && link.getAttribute("href") === location.hash) go();
  });

  const language = find("chart-language");
  if (language) language.addEventListener("change", () => {
    for (const part of document.querySelectorAll(".of-language")) part.hidden = part.dataset.language !== language.value;
    for (const part of document.querySelectorAll(".of-language-or-all")) part.hidden = language.value !== "*" && part.dataset.language !== language.value;
  });

  root.classList.add("scripted");
  narrow();
  render();
  go();
})();

"use strict";
// The page is complete without this; it adds the filters and the rows, which are data, put in as text and never as markup.
(() => {
  const root = document.documentElement;
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("data").textContent);
  const unseen = new RegExp(data.unseen, "g");
  const pageSize = 25;

  // ------------------------------------------------------------------------------------------------------------- elements
  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) if (value !== null && value !== undefined && value !== "") element.setAttribute(key, value);
    for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
    return element;
  };
  // Signs that nobody sees are written out by their code points.
  const shown = (text) => {
    const parts = [];
    let at = 0;
    for (const match of text.matchAll(unseen)) {
      if (match.index > at) parts.push(text.slice(at, match.index));
      const code = "U+" + match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      parts.push(make("span", { class: "sign", title: code }, code));
      at = match.index + match[0].length;
    }
    if (at < text.length) parts.push(text.slice(at));
    return parts;
  };
  const say = (text, language, direction, name) => make(name || "div", { class: "text", lang: language, dir: direction }, ...shown(text));
  const figure = (value) => Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(4)));
  const nameOf = (language) => data.names[language] || language;
  const table = (caption, head, rows) => make("div", { class: "scroll", role: "group", "aria-label": caption }, make("table", {}, make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...head.map((one) => make("th", { scope: "col" }, one)))),
    make("tbody", {}, ...rows.map((row) => make("tr", { class: row.mark || "" }, ...row.cells.map((cell, at) => make(at ? "td" : "th", at ? {} : { scope: "row" }, cell)))))));

  // ----------------------------------------------------------------------------------------------------------------- a row
  const limitsOf = (score, language) => ((data.limits[score] || {})[language] || []);
  const breaks = (limit, value) => limit[1] === "below" ? value < limit[2] : value > limit[2];
  const ownedBy = (score, step) => score === step || score.startsWith(step + ".");
  const sameAs = (row) => { const found = row.attributes.find(([name]) => name.endsWith(".duplicate_of")); return found ? found[1] : null; };

  const why = (row) => {
    const said = [];
    if (!row.step) {
      said.push(make("strong", {}, "Kept"), row.split ? " in " + row.split : "", ": no step dropped it.");
    } else {
      said.push(make("strong", {}, "Dropped by " + row.step), " for ", make("strong", {}, row.reason), ". ");
      for (const [name, value] of row.scores) {
        if (!ownedBy(name, row.step)) continue;
        for (const limit of limitsOf(name, row.lang)) {
          if (limit[0] === row.reason && breaks(limit, value)) said.push(`${name} is ${figure(value)}, ${limit[1]} the threshold of ${figure(limit[2])} for ${nameOf(row.lang)}${limit[3] ? "" : " (in combination with other scores)"}. `);
        }
      }
      const same = sameAs(row);
      if (same && row.attributes.some(([name]) => name === row.step + ".duplicate_of")) said.push("Duplicate of ", make("a", { href: "#row=" + same }, same.slice(0, 12)), ", which is kept. ");
      const found = row.attributes.filter(([name]) => ownedBy(name, row.step) && !/\.(cluster_id|duplicate_of|spans|others)$/.test(name));
      if (found.length) said.push("Attributes of the step: " + found.slice(0, 6).map(([name, value]) => `${name.slice(row.step.length + 1) || name} = ${value.slice(0, 120)}`).join(", ") + ".");
    }
    return make("p", { class: row.step ? "why" : "why kept" }, ...said.flatMap((one) => typeof one === "string" ? shown(one) : [one]));
  };

  const textsOf = (row) => make("div", { class: "texts" }, ...row.texts.map(([label, text, language, direction, more]) => make("div", { class: "turn" },
    make("div", { class: "role" }, label), say(text, language, direction), more ? make("div", { class: "note" }, `… ${more.toLocaleString("en")} more characters`) : null)));

  const related = (id, depth, title) => {
    const row = data.byId.get(id) || data.related[id];
    if (!row) return make("p", { class: "note" }, `${title} ${id}: no longer in the store, or not part of this report.`);
    const box = make("details", { class: "relative" }, make("summary", {}, `${title}: ${nameOf(row.lang)}, ${row.source} `, make("code", {}, id.slice(0, 12)), ...first(row, 80)));
    box.addEventListener("toggle", () => { if (box.open && box.children.length === 1) box.append(textsOf(row), lineage(row, depth + 1)); });
    return box;
  };
  const lineage = (row, depth) => {
    const facts = [["source", row.source], ["place", row.place], ["licence", row.license], ["item", row.group], ["id", row.id]];
    const box = make("div", { class: "lineage" }, make("dl", { class: "facts" }, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, ...shown(value))))));
    if (row.makers.length) box.append(make("p", {}, "Made by ", row.makers.map(([step, model]) => model ? `${step} with ${model}` : step).join(", then ") + "."));
    if (depth < 6) for (const parent of row.parents) box.append(related(parent, depth, "Parent"));
    return box;
  };
  const fill = (box, row) => {
    box.append(why(row), textsOf(row));
    if (row.scores.length) box.append(table("Scores", ["score", "value", "thresholds"], row.scores.map(([name, value]) => {
      const limits = limitsOf(name, row.lang);
      const bad = limits.some((limit) => breaks(limit, value) && (limit[3] || (limit[0] === row.reason && ownedBy(name, row.step))));
      return { mark: bad ? "beyond" : "", cells: [name, figure(value) + (bad ? " (beyond)" : ""), limits.map((limit) => `${limit[0]}: ${limit[1]} ${figure(limit[2])}${limit[3] ? "" : ", in combination"}`).join("; ")] };
    })));
    if (row.attributes.length) box.append(table("Attributes", ["attribute", "value"], row.attributes.map(([name, value]) => ({ cells: [name, make("span", { dir: "auto" }, ...shown(value))] }))));
    box.append(make("h4", {}, "Origin"), lineage(row, 0));
    const same = sameAs(row);
    if (same) box.append(related(same, 1, "Duplicate of"));
  };
  const first = (row, most) => {
    const turn = row.texts.find(([label, text]) => label !== "system" && text.trim()) || row.texts[0];
    if (!turn) return [];
    const cut = turn[1].trim().slice(0, most).replace(/\s+/g, " ");
    return [" ", say(cut + (turn[1].length > most ? "…" : ""), turn[2], turn[3], "span")];
  };
  const rowBox = (row, open) => {
    const state = row.step ? make("span", { class: "state dropped" }, `${row.step}: ${row.reason}`) : make("span", { class: "state kept" }, row.split || "kept");
    const box = make("details", { class: "row", "data-id": row.id }, make("summary", {}, state, " ", make("span", { class: "language" }, nameOf(row.lang)), ...first(row, 140)));
    const build = () => { if (!box.dataset.built) { box.dataset.built = "yes"; fill(box, row); } };
    box.addEventListener("toggle", () => { if (box.open) build(); });
    if (open) { box.open = true; build(); }
    return box;
  };

  // --------------------------------------------------------------------------------------------------------------- filters
  data.byId = new Map();
  for (const row of data.rows) if (!data.byId.has(row.id)) data.byId.set(row.id, row);
  const controls = { state: find("filter-state"), language: find("filter-language"), step: find("filter-step"), reason: find("filter-reason"), source: find("filter-source"), text: find("filter-text") };
  const folded = (text) => text.normalize("NFKC").toLowerCase();
  const searchable = new Map();
  const wordsOf = (row) => {
    if (!searchable.has(row)) searchable.set(row, folded([row.id, row.group, row.place, ...row.texts.map((one) => one[1])].join("\n")));
    return searchable.get(row);
  };
  const columns = { kept: { list: find("kept-rows"), status: find("kept-status"), more: find("kept-more"), shown: pageSize },
    dropped: { list: find("dropped-rows"), status: find("dropped-status"), more: find("dropped-more"), shown: pageSize } };
  const wanted = () => Object.fromEntries(Object.entries(controls).map(([name, control]) => [name, control.value.trim()]));
  const fits = (row, filter, needle) => (!filter.language || row.lang === filter.language) && (!filter.source || row.source === filter.source)
    && (!row.step || ((!filter.step || row.step === filter.step) && (!filter.reason || row.reason === filter.reason))) && (!needle || wordsOf(row).includes(needle));
  const inAll = (state, filter) => data.counts.reduce((sum, [language, step, reason, count]) => sum + ((step === "") === (state === "kept")
    && (!filter.language || language === filter.language) && (!step || ((!filter.step || step === filter.step) && (!filter.reason || reason === filter.reason))) ? count : 0), 0);

  const render = (keepPlace) => {
    const filter = wanted();
    const needle = folded(filter.text);
    let any = 0;
    for (const [state, column] of Object.entries(columns)) {
      column.list.parentElement.hidden = Boolean(filter.state) && filter.state !== state;
      if (!keepPlace) column.shown = pageSize;
      const rows = data.rows.filter((row) => (row.step ? "dropped" : "kept") === state && fits(row, filter, needle));
      any += column.list.parentElement.hidden ? 0 : rows.length;
      const whole = inAll(state, filter);
      column.status.textContent = needle || filter.source ? `${rows.length.toLocaleString("en")} matches in the sample` : `${rows.length.toLocaleString("en")} of ${whole.toLocaleString("en")}`;
      column.list.replaceChildren(...rows.slice(0, column.shown).map((row) => rowBox(row, false)));
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
    const row = data.byId.get(id) || data.related[id];
    find("chosen-row").replaceChildren(row ? rowBox(row, true) : make("p", {}, "The row ", make("code", {}, id.slice(0, 64)), " is not part of this report."));
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

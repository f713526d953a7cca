"use strict";
// The pages work without this; it unfolds rows in place, sends filters and thresholds at once, and knows the keys.
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const all = (selector, inside) => [...(inside || document).querySelectorAll(selector)];
  const fetched = async (address, options) => {
    const answer = await fetch(address, options);
    const text = await answer.text();
    if (!answer.ok) throw new Error(new DOMParser().parseFromString(text, "text/html").querySelector(".why")?.textContent || answer.statusText);
    return text;
  };
  // Fragments are made and escaped by this server; the policy lets no script in them run.
  const element = (html) => { const box = document.createElement("template"); box.innerHTML = html; return box.content; };
  const said = document.getElementById("said");
  const tell = (text) => { if (said) said.textContent = text; };

  // ----------------------------------------------------------------------------------------------------------- rows
  // Who needs what is being loaded waits for it: a key may be pressed meanwhile.
  const loading = new WeakMap();
  const load = (row) => {
    if (row.dataset.src && !loading.has(row)) loading.set(row, loadNow(row));
    return loading.get(row);
  };
  const loadNow = async (row) => {
    row.classList.add("busy");
    try { row.append(element(await fetched(row.dataset.src))); } catch (error) { loading.delete(row); row.append(String(error.message)); }
    row.classList.remove("busy");
  };
  const rows = () => all("#rows > details.row, article.row");
  for (const row of rows()) {
    row.addEventListener("toggle", () => { if (row.open) load(row); });
    if (row.open) load(row); // unfolded before this ran
  }
  for (const later of all(".later")) fetched(later.dataset.src).then((text) => { later.textContent = text; }, () => {});
  // A click on the first words unfolds; with a key held down the link leads to the row's own page.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#rows > details.row > summary a.to-row");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    const row = link.closest("details");
    row.open = !row.open;
  });

  // -------------------------------------------------------------------------------------------------------- filters
  for (const form of all("form.auto.filters")) form.addEventListener("change", (event) => {
    if (event.target.tagName !== "SELECT") return;
    if (event.target.name === "state") for (const name of ["step", "reason"]) if (form.elements[name]) form.elements[name].value = "";
    if (event.target.name === "step" && form.elements.reason) form.elements.reason.value = "";
    form.requestSubmit();
  });
  for (const form of all("form.filters")) form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (!value || (name === "state" && value === "kept")) event.formData.delete(name);
  });

  // ----------------------------------------------------------------------------------------------------- thresholds
  for (const form of all("form.threshold")) {
    const [slide, value, shown] = ["slide", "value", "moved"].map((id) => document.getElementById(id));
    let asking = false, again = false;
    // One request at a time, and the last value for certain.
    const move = async () => {
      if (asking) { again = true; return; }
      asking = true;
      do {
        again = false;
        const given = new URLSearchParams(new FormData(form));
        try { shown.replaceChildren(element(await fetched(`${form.dataset.moved}&${given}`))); } catch (error) { shown.textContent = error.message; }
        history.replaceState(null, "", `${form.action}?${given}`);
      } while (again);
      asking = false;
    };
    slide.addEventListener("input", () => { value.value = slide.value; move(); });
    value.addEventListener("input", () => { slide.value = value.value; move(); });
    form.addEventListener("submit", (event) => { event.preventDefault(); move(); });
    // Another threshold or language begins at the value that it has.
    for (const select of all("select", form)) select.addEventListener("change", () => {
      const given = new URLSearchParams([...new FormData(form)].filter(([name]) => name !== "value" && (name !== "score" || select.name !== "threshold")));
      location.assign(`${form.action}?${given}`);
    });
  }

  // --------------------------------------------------------------------------------------------------------- labels
  const badge = (row, form) => {
    const pressed = form.querySelector("[aria-pressed=true]");
    const old = row.querySelector(".state.labelled");
    if (old) old.remove();
    const noted = form.elements.comment.value || form.querySelector(".errors");
    if (!pressed && !noted) return;
    const mark = document.createElement("span");
    mark.className = "state labelled";
    mark.textContent = pressed ? pressed.value : "note";
    const before = row.querySelector("a.to-row");
    before.before(mark, " ");
  };
  // One after the other, in the order of the keys: the last label given is the one that stays.
  let sent = Promise.resolve();
  const send = (form, ...more) => (sent = sent.then(() => sendNow(form, more)));
  const sendNow = async (given, more) => {
    // An answer before this one has brought a form anew.
    const form = given.isConnected ? given : document.querySelector(`form.labels[data-row="${given.dataset.row}"]`);
    const body = new URLSearchParams([["comment", form.elements.comment.value], ...more]);
    const focused = form.contains(document.activeElement) ? document.activeElement : null;
    try {
      const fresh = element(await fetched(form.action + "?part=1", { method: "POST", body })).firstElementChild;
      form.replaceWith(fresh);
      const row = fresh.closest(".row");
      badge(row, fresh);
      // From a field back to the row, where the keys are; a button stays where one was.
      if (focused) (all("button", fresh).find((one) => one.value && one.value === focused.value) || row.querySelector("summary") || row).focus();
      if (more.some(([name]) => name === "error")) await anew(row, fresh);
    } catch (error) { form.querySelector("[role=status]").textContent = error.message; }
  };
  // The texts of a row again, after an error in them was marked or taken away.
  const anew = async (row, form) => {
    const from = new URLSearchParams(location.search).get("from");
    const part = element(await fetched(`${form.action.replace("/label/", "/row/")}?part=1${from ? `&from=${from}` : ""}`));
    row.querySelector(".texts").replaceWith(part.querySelector(".texts"));
  };
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.classList.contains("labels")) {
      event.preventDefault();
      const by = event.submitter;
      const at = form.elements.error_note;
      if (document.activeElement === at) send(form, ["error", form.querySelector("[type=hidden][name=error]").value], ["error_note", at.value]);
      else send(form, ...(by && by.name ? [[by.name, by.value]] : []));
    } else if (form.classList.contains("undo")) {
      event.preventDefault();
      undo();
    }
  });
  const undo = async () => {
    const id = await fetched("/undo?part=1", { method: "POST" });
    const row = id && rows().find((one) => one.dataset.id === id);
    tell(id ? `The last label is taken back (row ${id.slice(0, 12)}).` : "There is no label to take back.");
    if (!row) return;
    const form = row.querySelector("form.labels");
    const part = element(await fetched(form ? form.action.replace("/label/", "/row/") + "?part=1" : row.dataset.src));
    const fresh = part.querySelector("form.labels");
    if (form) form.replaceWith(fresh);
    if (form && row.querySelector(".texts")) row.querySelector(".texts").replaceWith(part.querySelector(".texts"));
    badge(row, fresh);
  };

  // --------------------------------------------------------------------------------------------------------- errors
  // Characters (code points) of the row before a place in a text; a sign like U+202E stands for one.
  const before = (text, node, offset) => {
    const range = document.createRange();
    range.setStart(text, 0);
    range.setEnd(node, offset);
    const part = range.cloneContents();
    for (const sign of all(".sign", part)) sign.replaceWith(".");
    return [...part.textContent].length;
  };
  const textOf = (node) => (node.nodeType === 1 ? node : node.parentElement)?.closest("[data-text]");
  const markError = (row) => {
    const form = row.querySelector("form.labels");
    const selection = window.getSelection();
    const status = form.querySelector("[role=status]");
    const range = selection.rangeCount && !selection.isCollapsed ? selection.getRangeAt(0) : null;
    const text = range && textOf(range.startContainer);
    if (!text || text !== textOf(range.endContainer) || !row.contains(text)) { status.textContent = "Select characters of one text of this row first."; return; }
    const start = Number(text.dataset.start);
    const ends = [before(text, range.startContainer, range.startOffset), before(text, range.endContainer, range.endOffset)];
    form.querySelector("[type=hidden][name=error]").value = `${text.dataset.text}:${start + ends[0]}:${start + ends[1]}`;
    form.querySelector(".error-of").hidden = false;
    form.elements.error_note.focus();
  };
  // The button must not take the selection away.
  document.addEventListener("mousedown", (event) => { if (event.target.closest(".mark-error")) event.preventDefault(); });
  document.addEventListener("click", (event) => { const button = event.target.closest(".mark-error"); if (button) markError(button.closest(".row")); });

  // ----------------------------------------------------------------------------------------------------------- keys
  const focused = () => document.activeElement && document.activeElement.closest(".row");
  const go = (step) => {
    const listed = rows();
    const row = listed[Math.max(0, Math.min(listed.length - 1, listed.indexOf(focused()) + step))];
    const next = document.querySelector(".pager [rel=next]");
    if (step > 0 && next && listed.length && focused() === listed.at(-1)) location.assign(next.href);
    else if (row) (row.querySelector("summary") || row).focus();
  };
  document.addEventListener("keydown", async (event) => {
    const typing = event.target.matches("input:not([type=range]), textarea, select");
    if (event.key === "Escape" && typing && focused()) { (focused().querySelector("summary") || focused()).focus(); return; }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = focused();
    const form = row && row.querySelector("form.labels");
    if (event.key === "j" || event.key === "k") go(event.key === "j" ? 1 : -1);
    else if (event.key === "/" && document.querySelector("[name=text]")) document.querySelector("[name=text]").focus();
    else if (event.key === "z" && row) undo();
    else if (row && ["1", "2", "3", "n", "e"].includes(event.key)) {
      if (!form) { row.open = true; await load(row); }
      const mine = row.querySelector("form.labels");
      if (!mine) return; // it could not be loaded, as the row says
      if (event.key === "n") mine.elements.comment.focus();
      else if (event.key === "e") markError(row);
      else await send(mine, ["label", mine.querySelector(`[aria-keyshortcuts="${event.key}"]`).value]);
    } else return;
    event.preventDefault();
  });
})();

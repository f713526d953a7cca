"use strict";
// The map: draws points on a canvas; texts come as data and are put in as text, never as markup.
(() => {
  const canvas = document.getElementById("map");
  if (!canvas) return;
  const find = (id) => document.getElementById(id);
  const [near, legend, status, select] = ["near", "legend", "said", "select"].map(find);
  const colours = document.querySelector("[name=colours]");
  const page = canvas.dataset.base;
  const LARGEST = 60, MATES = 6, NAMED = 7;
  let data = null, mates = new Map();
  let view = { x: 0.5, y: 0.5, zoom: 1 }; // the place in the middle, and how many times nearer than the whole
  let hot = -1, box = null, dragged = false, palette = [], hidden = new Set();
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) if (value) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  // -------------------------------------------------------------------------------------------------------- drawing
  const size = () => [canvas.clientWidth, canvas.clientHeight];
  const scale = () => Math.min(...size()) * view.zoom;
  const toScreen = (x, y) => { const [w, h] = size(); return [(x - view.x) * scale() + w / 2, (y - view.y) * scale() + h / 2]; };
  const toMap = (left, top) => { const [w, h] = size(); return [(left - w / 2) / scale() + view.x, (top - h / 2) / scale() + view.y]; };
  const place = (i) => toScreen(data.x[i], data.y[i]);
  const series = () => data.colours[colours.value];
  // Names beyond the first few share a colour.
  const rank = (of) => Math.min(of, NAMED);
  let asked = false;
  const draw = () => { if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; if (data) paint(); }); } };
  const paint = () => {
    const [w, h] = size(), ratio = devicePixelRatio || 1, pen = canvas.getContext("2d");
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) { canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio); }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, w, h);
    const { of } = series();
    const dot = Math.max(1.5, Math.min(5, 90 / Math.sqrt(data.x.length) + Math.log2(view.zoom)));
    // One colour after the other, the rarest on top.
    for (let colour = 0; colour <= NAMED; colour++) {
      pen.fillStyle = palette[colour];
      pen.globalAlpha = hidden.size && hidden.has(colour) ? 0.06 : 0.8;
      for (let i = 0; i < of.length; i++) {
        if (rank(of[i]) !== colour) continue;
        const [left, top] = place(i);
        if (left > -9 && top > -9 && left < w + 9 && top < h + 9) pen.fillRect(left - dot / 2, top - dot / 2, dot, dot);
      }
    }
    pen.globalAlpha = 1;
    const ink = css("--ink"), paper = css("--paper");
    pen.font = "600 12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.lineWidth = 4; pen.lineJoin = "round";
    const taken = [];
    for (const [x, y, word] of data.labels) {
      const [left, top] = toScreen(x, y), half = pen.measureText(word).width / 2;
      // A label that would cover another is left out; the table has it.
      if (!word || taken.some(([l, t, other]) => Math.abs(l - left) < half + other + 6 && Math.abs(t - top) < 16)) continue;
      taken.push([left, top, half]);
      pen.strokeStyle = paper; pen.strokeText(word, left, top);
      pen.fillStyle = ink; pen.fillText(word, left, top);
    }
    if (hot >= 0) {
      const [left, top] = place(hot);
      pen.strokeStyle = ink; pen.lineWidth = 1.5;
      for (const mate of mates.get(data.item[hot])) {
        if (mate === hot) continue;
        const to = place(mate);
        pen.beginPath(); pen.moveTo(left, top); pen.lineTo(...to); pen.stroke();
        pen.beginPath(); pen.arc(...to, dot / 2 + 2, 0, 7); pen.stroke();
      }
      pen.lineWidth = 2.5;
      pen.beginPath(); pen.arc(left, top, dot / 2 + 4, 0, 7); pen.stroke();
    }
    if (box) {
      pen.strokeStyle = css("--accent"); pen.lineWidth = 2; pen.setLineDash([6, 4]);
      const [from, to] = [toScreen(box[0], box[1]), toScreen(box[2], box[3])];
      pen.strokeRect(...from, to[0] - from[0], to[1] - from[1]);
      pen.setLineDash([]);
    }
  };
  const recolour = () => {
    palette = Array.from({ length: NAMED }, (_, at) => css(`--series-${at + 1}`)).concat(css("--series-8"));
    draw();
  };
  const explain = () => {
    const { names, of } = series(), counts = new Array(NAMED + 1).fill(0);
    for (const one of of) counts[rank(one)] += 1;
    hidden.clear();
    const rest = names.length - NAMED;
    const entry = (name, colour) => {
      const button = make("button", { type: "button", "aria-pressed": "true", class: `key series-${colour + 1}` }, `${name} ${counts[colour].toLocaleString("en")}`);
      button.addEventListener("click", () => {
        hidden[hidden.has(colour) ? "delete" : "add"](colour);
        button.setAttribute("aria-pressed", String(!hidden.has(colour)));
        draw();
      });
      return button;
    };
    legend.replaceChildren(...names.slice(0, NAMED).map(entry), ...(rest > 0 ? [entry(rest === 1 ? names[NAMED] : `${rest} others`, NAMED)] : []));
  };

  // ---------------------------------------------------------------------------------------------------------- a point
  const nearest = (left, top, most) => {
    let best = -1, least = most * most;
    for (let i = 0; i < data.x.length; i++) {
      const [x, y] = place(i), away = (x - left) ** 2 + (y - top) ** 2;
      if (away < least && !hidden.has(rank(series().of[i]))) { least = away; best = i; }
    }
    return best;
  };
  const line = (i) => make("p", {}, make("span", { class: "note" }, `${data.colours.language.names[data.colours.language.of[i]]} · ${data.colours.outcome.names[data.colours.outcome.of[i]]} `),
    make("span", { class: "text", lang: data.tag[i], dir: "auto" }, data.text[i]));
  const show = (i) => {
    if (i === hot) return;
    hot = i;
    canvas.style.cursor = i >= 0 ? "pointer" : "";
    near.hidden = i < 0;
    if (i >= 0) {
      const others = mates.get(data.item[i]).filter((one) => one !== i);
      near.replaceChildren(line(i), ...others.slice(0, MATES).map(line), ...(others.length > MATES ? [make("p", { class: "note" }, `and ${others.length - MATES} more of this item`)] : []));
      // On the other side of the point's half, so that it covers neither the point nor much else.
      const [left, top] = place(i), [w, h] = size();
      near.style.insetInlineStart = left < w / 2 ? "auto" : "0.5rem";
      near.style.insetInlineEnd = left < w / 2 ? "0.5rem" : "auto";
      near.style.top = top < h / 2 ? "auto" : "0.5rem";
      near.style.bottom = top < h / 2 ? "0.5rem" : "auto";
    }
    draw();
  };
  const open = (i) => { if (i >= 0) location.assign(`${page}/row/${data.id[i]}`); };

  // ------------------------------------------------------------------------------------------------------- the region
  const chosen = () => {
    const [x1, x2] = [box[0], box[2]].sort((one, other) => one - other), [y1, y2] = [box[1], box[3]].sort((one, other) => one - other);
    const ends = [x1, y1, x2, y2].map((one) => Math.max(0, Math.min(1, one)).toFixed(4));
    const kept = new Set(), dropped = new Set();
    for (let i = 0; i < data.x.length; i++) {
      if (data.x[i] < ends[0] || data.x[i] > ends[2] || data.y[i] < ends[1] || data.y[i] > ends[3]) continue;
      (data.colours.outcome.names[data.colours.outcome.of[i]] === "kept" ? kept : dropped).add(data.id[i]);
    }
    const link = (count, state, query) => make("a", { href: `${page}/rows?region=${ends.join(",")}${query}` }, `${count.toLocaleString("en")} ${state}`);
    status.replaceChildren("Selected: ", ...(kept.size + dropped.size ? [link(kept.size, "kept rows", ""), ", ", link(dropped.size, "dropped rows", "&state=dropped")] : ["no point"]), ".");
  };

  // --------------------------------------------------------------------------------------------------- pointer and keys
  const zoom = (factor, left, top) => {
    const before = toMap(left, top);
    view.zoom = Math.max(0.9, Math.min(LARGEST, view.zoom * factor));
    const after = toMap(left, top);
    view.x += before[0] - after[0]; view.y += before[1] - after[1];
    draw();
  };
  const middle = () => { const [w, h] = size(); return [w / 2, h / 2]; };
  const at = (event) => { const edge = canvas.getBoundingClientRect(); return [event.clientX - edge.left, event.clientY - edge.top]; };
  const down = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    if (!data || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, at(event));
    moved = 0;
    dragged = down.size === 1 && (event.shiftKey || select.getAttribute("aria-pressed") === "true");
    if (dragged) box = [...toMap(...at(event)), ...toMap(...at(event))];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!data) return;
    const here = at(event), before = down.get(event.pointerId);
    if (!before) { show(nearest(...here, 12)); return; }
    moved += Math.abs(here[0] - before[0]) + Math.abs(here[1] - before[1]);
    if (dragged) { box.splice(2, 2, ...toMap(...here)); draw(); down.set(event.pointerId, here); return; }
    if (down.size === 2) {
      const other = [...down].find(([id]) => id !== event.pointerId)[1];
      const far = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
      zoom(far(here) / far(before), ...other);
    } else { view.x -= (here[0] - before[0]) / scale(); view.y -= (here[1] - before[1]) / scale(); draw(); }
    down.set(event.pointerId, here);
  });
  const up = (event) => {
    if (!down.delete(event.pointerId)) return;
    if (dragged) {
      dragged = false;
      if (moved > 5 && event.type === "pointerup") chosen(); else { box = null; draw(); }
      select.setAttribute("aria-pressed", "false");
      canvas.style.touchAction = "";
      return;
    }
    if (moved > 5 || event.type !== "pointerup") return;
    const i = nearest(...at(event), event.pointerType === "touch" ? 24 : 12);
    // A finger has no hover: the first touch shows, the second opens.
    if (event.pointerType === "touch" && i !== hot) show(i); else open(i);
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => { if (!down.size) show(-1); });
  // The wheel scrolls the page unless the map has the focus or a key is held.
  canvas.addEventListener("wheel", (event) => {
    if (!data || !(event.ctrlKey || event.metaKey || document.activeElement === canvas)) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300), ...at(event));
  }, { passive: false });
  const whole = () => { view = { x: 0.5, y: 0.5, zoom: 1 }; draw(); };
  for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => {
    if (button.dataset.zoom === "whole") whole(); else zoom(button.dataset.zoom === "in" ? 1.6 : 1 / 1.6, ...middle());
  });
  select.addEventListener("click", () => {
    const on = select.getAttribute("aria-pressed") !== "true";
    select.setAttribute("aria-pressed", String(on));
    canvas.style.touchAction = on ? "none" : "";
    if (on) status.textContent = "Drag over the map.";
  });
  canvas.addEventListener("keydown", (event) => {
    if (!data || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (steps[event.key]) { view.x += steps[event.key][0] * 0.08 / view.zoom; view.y += steps[event.key][1] * 0.08 / view.zoom; }
    else if (event.key === "+" || event.key === "=") zoom(1.6, ...middle());
    else if (event.key === "-") zoom(1 / 1.6, ...middle());
    else if (event.key === "0") whole();
    else if (event.key === "Enter") open(hot);
    else return;
    event.preventDefault();
    if (event.key === "Enter") return;
    show(nearest(...middle(), 1e6));
    status.textContent = hot < 0 ? "" : near.firstElementChild.textContent;
  });

  colours.addEventListener("change", () => { explain(); draw(); });
  new ResizeObserver(draw).observe(canvas);
  new MutationObserver(recolour).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  fetch(canvas.dataset.src).then((answer) => { if (!answer.ok) throw new Error(answer.statusText); return answer.json(); }).then((points) => {
    data = points;
    data.item.forEach((item, i) => { if (mates.has(item)) mates.get(item).push(i); else mates.set(item, [i]); });
    status.textContent = "";
    explain();
    recolour();
    canvas.dataset.ready = "yes";
  }).catch((error) => { status.textContent = `The points could not be loaded: ${error.message}`; });
})();

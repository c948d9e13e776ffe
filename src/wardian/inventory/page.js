"use strict";
// The map comes alive: it is drawn anew for the window's size, opened by clicks and keys, and told of on hover.
// Names are hostile: they become text nodes and attributes, never markup.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEVELS = 4, HEADER = [20, 16], GAP = [3, 2, 1], SMALLEST = 30, MOST = 500, ROOM = [34, 26], LETTER = [7.4, 6.6];
  const svg = document.querySelector("svg.map");
  const trail = document.querySelector("#trail");
  const tip = document.querySelector("#tip");
  const root = read(JSON.parse(document.querySelector("#data").textContent), null, "");
  let current = root;
  let shown = [];

  function read([name, bytes, packed, files, children, kind], parent, inherited) {
    const node = { name, bytes, packed, files, parent, kind: kind || inherited };
    node.children = (children || []).map((child) => read(child, node, node.kind));
    return node;
  }

  function size(amount) {
    if (amount < 1000) return `${amount} B`;
    let value = amount, unit;
    for (unit of ["kB", "MB", "GB", "TB"]) {
      value /= 1000;
      if (value < 999.95) break;
    }
    return `${value.toFixed(1)} ${unit}`;
  }

  const share = (part, whole) => `${(whole ? (100 * part) / whole : 0).toFixed(1)}%`;
  const cut = (text, letters) => (text.length <= letters ? text : `${text.slice(0, letters - 1)}…`);
  const make = (name, attributes) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };

  // Squarified treemaps (Bruls, Huizing, van Wijk): rows as long as they make their boxes squarer.
  function squarify(areas, x, y, width, height) {
    const places = [];
    let start = 0;
    while (start < areas.length) {
      const side = Math.min(width, height);
      let sum = areas[start], end = start + 1, worst = Infinity;
      const ratio = (total, most, least) =>
        Math.max((side * side * most) / (total * total), (total * total) / (side * side * least));
      worst = ratio(sum, areas[start], areas[start]);
      while (end < areas.length) {
        const next = ratio(sum + areas[end], areas[start], areas[end]);
        if (next > worst) break;
        worst = next;
        sum += areas[end];
        end += 1;
      }
      const thick = sum / side;
      let along = 0;
      for (let i = start; i < end; i += 1) {
        const long = areas[i] / thick;
        places.push(width >= height ? [x, y + along, thick, long] : [x + along, y, long, thick]);
        along += long;
      }
      if (width >= height) [x, width] = [x + thick, width - thick];
      else [y, height] = [y + thick, height - thick];
      start = end;
    }
    return places;
  }

  function visible(node, area) {
    const least = (node.bytes * SMALLEST) / area;
    const there = node.children.filter((child) => child.bytes).sort((one, other) => other.bytes - one.bytes);
    const large = there.filter((child, number) => number < MOST && child.bytes >= least);
    const small = there.slice(large.length);
    if (small.length) {
      const sum = (key) => small.reduce((total, child) => total + child[key], 0);
      large.push({
        name: `${small.length} smaller`, bytes: sum("bytes"), packed: sum("packed"), files: sum("files"),
        kind: small[0].kind, parent: node, children: [], isRest: true,
      });
    }
    return large.sort((one, other) => other.bytes - one.bytes);
  }

  function* inside(node, level, x, y, width, height) {
    const children = visible(node, width * height);
    const total = children.reduce((sum, child) => sum + child.bytes, 0);
    const gap = GAP[Math.min(level, 2)];
    const places = squarify(children.map((child) => (child.bytes / total) * width * height), x, y, width, height);
    for (const [number, child] of children.entries()) {
      const [left, top, dx, dy] = places[number];
      const box = { node: child, level, x: left, y: top, width: Math.max(dx - gap, 0.5), height: Math.max(dy - gap, 0.5) };
      const header = HEADER[Math.min(level, 1)], inner = GAP[Math.min(level + 1, 2)];
      const w = box.width - 2 * inner, h = box.height - header - inner;
      box.isOpen = child.children.length > 0 && level + 1 < LEVELS && w >= ROOM[0] && h >= ROOM[1];
      yield box;
      if (box.isOpen) yield* inside(child, level + 1, box.x + inner, box.y + header, w + inner, h + inner);
    }
  }

  function draw() {
    const width = svg.clientWidth || 1200;
    const height = Math.max(360, Math.min(window.innerHeight - 190, width * 0.7));
    const depth = current === root ? 0 : 1; // without their ecosystem, packages keep their colours
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren(make("rect", { class: "ground", width, height }));
    shown = [...inside(current, 0, 0, 0, width, height)];
    for (const [number, box] of shown.entries()) svg.append(element(box, number, depth));
    if (shown.length) shown[0].element.setAttribute("tabindex", "0");
    tell();
  }

  function element(box, number, depth) {
    const { node } = box;
    const level = Math.min(box.level + depth, 3);
    const isGroup = node.children.length > 0;
    const group = make("g", {
      class: `box ${node.kind} l${level}${isGroup ? " group" : ""}`,
      tabindex: "-1",
      role: isGroup ? "button" : "img",
      "aria-label": `${node.name}, ${size(node.bytes)}, ${share(node.bytes, root.bytes)}`,
      "data-number": number,
    });
    group.append(make("rect", { x: box.x, y: box.y, width: box.width, height: box.height }), ...labels(box, level));
    box.element = group;
    return group;
  }

  function labels(box, level) {
    const letters = Math.floor((box.width - 8) / LETTER[level < 2 ? 0 : 1]);
    if (letters < 3 || box.height < 15) return [];
    const { name } = box.node, amount = size(box.node.bytes);
    const x = box.x + 4;
    const text = make("text", { x, y: box.y + (level === 0 ? 14 : 12) });
    const add = (attributes, content) => {
      const part = make("tspan", attributes);
      part.textContent = content;
      text.append(part);
    };
    add({ class: "name" }, cut(name, letters));
    if (box.isOpen && name.length + amount.length + 2 <= letters) add({ class: "size", dx: 6 }, amount);
    else if (!box.isOpen && box.height >= 32 && amount.length <= letters) add({ class: "size", x, dy: 14 }, amount);
    return [text];
  }

  const way = (node) => (node ? [...way(node.parent), node] : []);

  function tell() {
    trail.replaceChildren();
    for (const node of way(current)) {
      if (node !== root) trail.append(" › ");
      const button = document.createElement("button");
      button.textContent = node === root ? "Everything" : node.name;
      button.title = `${node.name}: ${size(node.bytes)}`;
      button.disabled = node === current;
      button.addEventListener("click", () => open(node));
      trail.append(button);
    }
    const hint = document.createElement("span");
    hint.className = "hint";
    hint.textContent = `${size(current.bytes)}, ${share(current.bytes, root.bytes)} · click or Enter opens, Esc goes back`;
    trail.append(hint);
  }

  function open(node, focus) {
    const from = current;
    current = node;
    tip.hidden = true;
    draw();
    if (focus) (shown.find((box) => box.node === from) || shown[0])?.element.focus();
  }

  // A click on something that holds nothing opens what it lies in.
  function target(node) {
    if (node.children.length) return node;
    return node.parent !== current ? node.parent : null;
  }

  const boxOf = (event) => {
    const found = event.target.closest?.(".box");
    return found ? shown[Number(found.dataset.number)] : null;
  };

  function explain(box, x, y) {
    const { node } = box;
    const names = way(node).slice(1).map((it) => it.name);
    const line = (name, text) => {
      const found = document.createElement(name);
      found.textContent = text;
      return found;
    };
    tip.replaceChildren(
      line("b", names[names.length - 1]),
      ...(names.length > 1 ? [line("span", names.slice(0, -1).join(" › "))] : []),
      line("div", `${size(node.bytes)} (${node.bytes} B), about ${size(node.packed)} packed`),
      line("div", `${share(node.bytes, root.bytes)} of the image, ${node.files} ${node.files === 1 ? "file" : "files"}`),
    );
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, x + 14 + width > window.innerWidth ? x - width - 14 : x + 14)}px`;
    tip.style.top = `${Math.max(4, y + 14 + height > window.innerHeight ? y - height - 14 : y + 14)}px`;
  }

  // The nearest box of the same level in the direction of the arrow.
  function neighbour(box, dx, dy) {
    const middle = (it) => [it.x + it.width / 2, it.y + it.height / 2];
    const [x, y] = middle(box);
    let best = null, least = Infinity;
    for (const other of shown) {
      if (other === box || other.level !== box.level) continue;
      const [u, v] = middle(other);
      const along = (u - x) * dx + (v - y) * dy, across = Math.abs((u - x) * dy) + Math.abs((v - y) * dx);
      if (along > 1 && along + 2 * across < least) [best, least] = [other, along + 2 * across];
    }
    return best;
  }

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  svg.addEventListener("click", (event) => {
    const box = boxOf(event);
    const node = box && target(box.node);
    if (node) open(node);
  });
  svg.addEventListener("pointermove", (event) => {
    const box = boxOf(event);
    if (box) explain(box, event.clientX, event.clientY);
    else tip.hidden = true;
  });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; });
  svg.addEventListener("focusin", (event) => {
    const box = boxOf(event);
    if (!box) return;
    for (const other of svg.querySelectorAll('.box[tabindex="0"]')) other.setAttribute("tabindex", "-1");
    box.element.setAttribute("tabindex", "0");
    if (box.element.matches(":focus-visible")) {
      const { left, top } = box.element.getBoundingClientRect();
      explain(box, left, top + 20);
    }
  });
  svg.addEventListener("focusout", () => { tip.hidden = true; });
  svg.addEventListener("keydown", (event) => {
    const box = boxOf(event);
    if (!box) return;
    if (event.key === "Enter" || event.key === " ") {
      const node = target(box.node);
      if (node) open(node, true);
    } else if (ARROWS[event.key]) {
      neighbour(box, ...ARROWS[event.key])?.element.focus();
    } else {
      return;
    }
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if ((event.key === "Escape" || event.key === "Backspace") && current.parent) {
      open(current.parent, svg.contains(document.activeElement));
      event.preventDefault();
    }
  });
  let pending = 0;
  window.addEventListener("resize", () => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(draw);
  });
  svg.classList.add("live");
  draw();
})();

"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  let stored = null;
  try { stored = localStorage.getItem("prm-eval-theme"); } catch { /* a page opened from disk may have no storage */ }
  if (stored === "light" || stored === "dark") root.dataset.theme = stored;
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

  const state = () => new URLSearchParams(location.hash.slice(1));
  const write = (changes) => {
    const now = state();
    for (const [key, value] of Object.entries(changes)) {
      if (value) now.set(key, value); else now.delete(key);
    }
    const text = now.toString().replace(/%3A/g, ":").replace(/%2C/g, ",");
    history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
    apply();
  };

  const valueOf = (row, key) => {
    const cell = row.querySelector(".c-" + key);
    const value = cell ? cell.dataset.v : undefined;
    if (value === undefined || value === "") return null;
    return cell.dataset.text === undefined ? Number(value) : value;
  };
  const compare = (one, other, sign) => {
    if (one === null || other === null) return (one === null) - (other === null);
    if (typeof one === "string") return sign * (one < other ? -1 : one > other ? 1 : 0);
    return sign * (one - other);
  };

  const sortTable = (table, key, descending) => {
    for (const head of table.querySelectorAll("th[data-key]")) {
      head.setAttribute("aria-sort", head.dataset.key !== key ? "none" : descending ? "descending" : "ascending");
    }
    const body = table.tBodies[0];
    const rows = [...body.rows];
    for (const row of rows) row.dataset.at ??= String(rows.indexOf(row));
    rows.sort((a, b) => (key ? compare(valueOf(a, key), valueOf(b, key), descending ? -1 : 1) : 0) || a.dataset.at - b.dataset.at);
    body.append(...rows);
  };

  const filterTable = (section, now) => {
    const words = (now.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
    const kind = now.get("kind") || "", tier = now.get("tier") || "", clean = now.get("clean") === "1";
    const rows = [...section.querySelectorAll("tbody.entries tr[data-words]")];
    let shown = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.dataset.words.includes(word)) && (!kind || row.dataset.kind === kind)
        && (!tier || row.dataset.tier === tier) && (!clean || row.dataset.clean === "1");
      row.hidden = !fits;
      shown += fits;
    }
    const say = section.querySelector(".count");
    if (say) say.textContent = shown + " of " + rows.length + (rows.length === 1 ? " submission" : " submissions");
  };

  const apply = () => {
    const now = state();
    const sections = [...document.querySelectorAll("section[data-pool]")];
    if (!sections.length) return;
    let pool = now.get("pool") || "";
    if (!sections.some((each) => each.dataset.pool === pool)) pool = sections[0].dataset.pool;
    for (const section of sections) {
      section.hidden = section.dataset.pool !== pool;
      if (section.hidden || !section.querySelector("table.board")) continue;
      const [key, way] = (now.get("sort") || "").split(":");
      const table = section.querySelector("table.board");
      sortTable(table, table.querySelector('th[data-key="' + CSS.escape(key || "") + '"]') ? key : "", way === "desc");
      filterTable(section, now);
      const hide = new Set((now.get("hide") || "").split(","));
      for (const box of section.querySelectorAll(".menu input")) {
        box.checked = !hide.has(box.value);
        for (const cell of table.querySelectorAll(".c-" + box.value)) cell.hidden = !box.checked;
      }
      for (const name of ["q", "kind", "tier"]) {
        const field = section.querySelector('[name="' + name + '"]');
        if (field && field !== document.activeElement) field.value = now.get(name) || "";
      }
      section.querySelector('[name="clean"]').checked = now.get("clean") === "1";
    }
    for (const link of document.querySelectorAll(".tabs a")) {
      if (link.dataset.pool === pool) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const section of document.querySelectorAll("section[data-pool]")) section.removeAttribute("id");
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault();  // the hash holds the state
      document.querySelector("#main").focus();
    });
    const toggle = document.querySelector("#theme");
    if (toggle) {
      const label = () => { toggle.textContent = isDark() ? "Light colours" : "Dark colours"; };
      toggle.hidden = false;
      label();
      toggle.addEventListener("click", () => {
        root.dataset.theme = isDark() ? "light" : "dark";
        try { localStorage.setItem("prm-eval-theme", root.dataset.theme); } catch { /* as above */ }
        label();
      });
    }
    for (const link of document.querySelectorAll("a[data-pool]")) {
      link.addEventListener("click", (event) => { event.preventDefault(); write({ pool: link.dataset.pool }); });
    }
    for (const link of document.querySelectorAll("a[data-jump]")) {
      link.addEventListener("click", (event) => {
        const target = document.querySelector(link.getAttribute("href"));
        event.preventDefault();
        target.focus({ preventScroll: true });
        target.scrollIntoView();
      });
    }
    for (const button of document.querySelectorAll("th[data-key] button")) {
      button.addEventListener("click", () => {
        const head = button.closest("th"), first = head.dataset.first;
        const next = { none: first, ascending: "desc", descending: "asc" }[head.getAttribute("aria-sort") || "none"];
        write({ sort: head.dataset.key + ":" + next });
      });
    }
    for (const tools of document.querySelectorAll(".tools")) {
      tools.addEventListener("input", (event) => {
        const field = event.target;
        if (field.closest(".menu")) {
          const hidden = [...tools.querySelectorAll(".menu input")].filter((box) => !box.checked).map((box) => box.value);
          write({ hide: hidden.join(",") });
        } else write({ [field.name]: field.type === "checkbox" ? (field.checked ? "1" : "") : field.value.trim() });
      });
      tools.querySelector("[data-reset]").addEventListener("click", () => {
        write({ q: "", kind: "", tier: "", clean: "", sort: "", hide: "" });
      });
      tools.addEventListener("keydown", (event) => {
        const open = tools.querySelector("details[open]");
        if (event.key === "Escape" && open) { open.open = false; open.querySelector("summary").focus(); }
      });
    }
    addEventListener("hashchange", apply);
    apply();
    // "#pool=..." is an anchor for readers without scripts; here it chooses the tab, and the page begins at its top
    if (document.querySelector("section[data-pool]") && location.hash.startsWith("#pool=")) {
      scrollTo(0, 0);
      addEventListener("load", () => { scrollTo(0, 0); requestAnimationFrame(() => scrollTo(0, 0)); }, { once: true });
    }
  });
})();

"use strict";
// Keys, the outbox, and what the page shows. Marks go into the browser's storage before they are sent, and leave it
// when the server says that they are on its disk: a killed server or a closed tab loses none.
(() => {
  const root = document.documentElement;
  const saved = (name, value) => {
    try { return value === undefined ? localStorage.getItem(name) : localStorage.setItem(name, value); }
    catch { return null; }
  };
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const theme = saved("theme");
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => { button.textContent = dark() ? "Light" : "Dark"; };
    button.hidden = false;
    name();
    button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; saved("theme", root.dataset.theme); name(); });
    const main = document.getElementById("main");
    if (main.dataset.state) label(main);
  });

  function label(main) {
    const { csrf, me, number } = main.dataset, all = main.dataset.all === "1", path = `/item/${number}`;
    const steps = [...document.querySelectorAll(".step")], status = document.getElementById("status");
    const keys = document.getElementById("keys"), prefix = `label:${me}:`;
    const others = typeof BroadcastChannel === "function" ? new BroadcastChannel(`label-${me}`) : null;
    let state = JSON.parse(main.dataset.state), at = 0, sending = false, again = false, most = 50, leaving = false, pause = 0, message = "";

    // -- time: only while the page is seen and somebody is there
    let since = performance.now(), touched = since, attention = 0, unsent = 0;
    const tick = () => {
      const now = performance.now();
      if (document.visibilityState === "visible" && now - touched < 60000) attention += now - since;
      since = now;
    };
    setInterval(() => { tick(); clock(); }, 1000);
    for (const kind of ["keydown", "pointermove", "pointerdown", "scroll", "wheel"])
      addEventListener(kind, () => { tick(); touched = performance.now(); }, { passive: true });
    const spent = () => { tick(); const ms = Math.min(Math.round(attention), 600000); attention = 0; unsent += ms; return ms; };

    const clock = () => {
      const seconds = Math.round(state.seconds + (unsent + attention) / 1000);
      document.getElementById("clock").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    };

    // -- the outbox: one entry an event, so that two tabs never write the same one
    let memory = [];  // where the browser stores nothing
    let counter = 0;
    const put = (entry) => {
      const name = `${prefix}${String(Date.now()).padStart(15, "0")}:${String(counter++).padStart(6, "0")}:${entry.event.key}`;
      try { localStorage.setItem(name, JSON.stringify(entry)); }
      catch { memory.push([name, entry]); }
    };
    const waiting = () => {
      const found = [...memory];
      try {
        for (let i = 0; i < localStorage.length; i++) {
          const name = localStorage.key(i);
          if (name.startsWith(prefix)) found.push([name, JSON.parse(localStorage.getItem(name))]);
        }
      } catch { /* what is in memory is all there is */ }
      return found.sort((a, b) => (a[0] < b[0] ? -1 : 1));
    };
    const drop = (names) => {
      memory = memory.filter(([name]) => !names.includes(name));
      try { names.forEach((name) => localStorage.removeItem(name)); } catch { /* nothing was there */ }
    };

    // what was refused before the page's own program saw it is said in plain text
    const reason = async (answer) => {
      try { return (await answer.clone().json()).error; }
      catch { return `the server answers ${answer.status}`; }
    };

    async function flush() {
      if (sending) return;
      sending = true;
      try {
        for (let box = waiting(); box.length; box = waiting()) {
          const to = box[0][1].path, batch = [];
          while (batch.length < most && batch.length < box.length && box[batch.length][1].path === to) batch.push(box[batch.length]);
          const answer = await fetch(to, {
            method: "POST", keepalive: true, credentials: "same-origin",
            headers: { "Content-Type": "application/json", "Accept": "application/json", "X-CSRF": csrf },
            body: JSON.stringify({ events: batch.map(([, entry]) => entry.event) }),
          });
          if ([400, 404, 413].includes(answer.status)) {
            // one of them will never be taken: it is found, said, and not sent for ever
            if (batch.length > 1) { most = 1; continue; }
            message = `not stored: ${await reason(answer)}`;
            drop(batch.map(([name]) => name));
            continue;
          }
          if (!answer.ok) throw new Error(answer.status === 429 ? "too fast" : await reason(answer));
          drop(batch.map(([name]) => name));
          pause = 0;
          const now = await answer.json();
          if (to === path) { accept(now); others?.postMessage(number); }
        }
        most = 50;
        show();
        if (leaving && state.submitted && state.whole && !waiting().length) location.href = "/";
      } catch (error) {
        const why = error instanceof TypeError ? "the server does not answer" : error.message;
        const n = waiting().length;
        say(`${n} ${n === 1 ? "mark waits" : "marks wait"} in this browser: ${why}. Trying again …`, "late");
        pause = Math.min(pause ? 2 * pause : 300, 5000);
        setTimeout(flush, pause);
      } finally {
        sending = false;
        if (again) { again = false; refresh(); }
      }
    }
    // what was answered before a later mark was made says less than this page knows
    const accept = (now) => {
      if (now.version >= state.version && !waiting().some(([, entry]) => entry.path === path)) { state = now; unsent = 0; }
    };
    async function refresh() {
      if (sending) { again = true; return; }
      if (waiting().length) { flush(); return; }
      try {
        const answer = await fetch(`/state/${number}`, { headers: { "Accept": "application/json" }, credentials: "same-origin" });
        if (answer.ok) { accept(await answer.json()); show(); }
      } catch { /* the next mark says so */ }
    }
    others?.addEventListener("message", (event) => { if (event.data === number) refresh(); });
    addEventListener("focus", refresh);
    addEventListener("online", flush);

    // -- what an event does here, before the server says so
    function add(what, step = null, value = null) {
      message = "";
      leaving = what === "submit";
      const random = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      put({ path, event: { key: random, what, step, value, ms: spent() } });
      if (what === "mark") { state.marks[step] = Number(value); state.verdict = null; }
      if (what === "flag") state.flags = value === "1" ? [...state.flags, step] : state.flags.filter((each) => each !== step);
      if (what === "verdict") state.verdict = value || null;
      show();
      flush();
    }
    const firstBad = () => (all || state.verdict ? -1 : state.marks.indexOf(-1));
    function missing() {
      if (state.verdict) return -1;
      const gap = state.marks.indexOf(null), bad = firstBad();
      return bad >= 0 && (gap < 0 || gap > bad) ? -1 : gap;
    }
    function mark(step, value) {
      add("mark", step, String(value));
      if (value !== -1 || all) go(Math.min(step + 1, steps.length - 1));
      else go(missing() >= 0 ? missing() : step);
    }
    function submit() {
      const gap = missing();
      if (gap >= 0) { go(gap); say(`Step ${gap + 1} has no mark yet.`, "late"); return; }
      add("submit");
    }
    function act(text) {
      const [what, step, ...rest] = text.split(":"), value = rest.join(":");
      if (what === "mark") mark(Number(step), Number(value));
      else if (what === "flag") { go(Number(step)); add("flag", Number(step), state.flags.includes(Number(step)) ? "0" : "1"); }
      else if (what === "verdict") add("verdict", null, state.verdict === value ? "" : value);
      else if (what === "marks") add("marks", null, value);
      else if (what === "submit") submit();
      else add(what);
    }

    // -- what is seen
    function say(text, kind = "") { status.textContent = text; status.dataset.kind = kind; }
    function show() {
      const bad = firstBad();
      steps.forEach((each, i) => {
        const own = state.marks[i], flagged = state.flags.includes(i);
        each.dataset.mark = own === null ? "" : String(own);
        each.toggleAttribute("data-flag", flagged);
        each.classList.toggle("after", (bad >= 0 && i > bad) || Boolean(state.verdict));
        each.querySelectorAll(".mark").forEach((button) => {
          const [what, , value] = button.value.split(":");
          button.setAttribute("aria-pressed", String(what === "flag" ? flagged : own !== null && Number(value) === own));
        });
      });
      document.querySelectorAll(".verdict").forEach((button) => button.setAttribute("aria-pressed", String(button.value.endsWith(`:${state.verdict}`))));
      const bar = document.getElementById("bar");
      if (bar) {
        bar.max = state.done + state.left; bar.value = state.done;
        document.getElementById("count").textContent = `${state.done} of ${state.done + state.left}`;
      }
      const whole = missing() < 0;
      document.getElementById("submit").classList.toggle("ready", whole);
      if (message) say(message, "late");
      else if (waiting().length) say("storing …");
      else if (state.submitted && whole) say("Handed in; a change counts at once.", "ok");
      else if (whole) say("Everything needed is marked: hand it in.", "ok");
      else say(state.changes ? "Stored." : "");
    }
    function go(step, scroll = true) {
      at = Math.max(0, Math.min(step, steps.length - 1));
      steps.forEach((each, i) => each.classList.toggle("here", i === at));
      steps.forEach((each, i) => (i === at ? each.setAttribute("aria-current", "step") : each.removeAttribute("aria-current")));
      steps[at].focus({ preventScroll: true });
      if (scroll) steps[at].scrollIntoView({ block: "nearest" });
    }
    const KEYS = {
      1: () => mark(at, 1), 0: () => mark(at, 0), "-": () => mark(at, -1), "\u2212": () => mark(at, -1),
      j: () => go(at + 1), ArrowDown: () => go(at + 1), k: () => go(at - 1), ArrowUp: () => go(at - 1),
      f: () => act(`flag:${at}:`), Enter: submit,
      p: () => { const back = document.getElementById("back"); if (!back.hidden) location.href = back.href; },
      n: () => { location.href = "/"; },
      "?": () => keys.showModal(),
    };
    document.querySelectorAll("button[data-key]").forEach((button) => { KEYS[button.dataset.key] = () => act(button.value); });
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || keys.open || event.isComposing) return;
      const moves = event.key === "j" || event.key === "k" || event.key.startsWith("Arrow");
      if (event.repeat && !moves) return;
      if (event.key === "Enter" && event.target.closest("button, a")) return;
      const action = KEYS[event.key] || KEYS[event.key.toLowerCase()];
      if (!action) return;
      event.preventDefault();
      action();
    });
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button[name=act]");
      if (button) { event.preventDefault(); act(button.value); return; }
      const step = event.target.closest(".step");
      if (step && !String(getSelection())) go(Number(step.dataset.step), false);
    });
    const help = document.getElementById("help");
    help.hidden = false;
    help.addEventListener("click", () => keys.showModal());
    // a tab that was closed while the server was away left its marks here
    const next = missing() >= 0 ? missing() : Math.max(firstBad(), 0);
    go(next, next > 0);
    show();
    clock();
    flush();
  }
})();

// What a browser does beside showing the page: it takes what is new from the server's events, filters
// while somebody types, copies, and lights up the lines of a box. Without it the page works too.
"use strict";

(() => {
  const page = document.documentElement;
  const root = page.dataset.root;
  const state = document.getElementById("stream");
  page.classList.remove("plain");

  // On a narrow screen the sections stand in a line that scrolls: the present one is to be seen.
  const section = document.querySelector("nav [aria-current=page]");
  if (section) {
    section.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // Live: the server sends the page again whenever it is another, and the parts that have an id
  // are changed where they differ, so that focus, selection and scrolling stay.
  let events = null;
  let at = page.dataset.at + location.search;

  function say(name, text) {
    state.dataset.state = name;
    state.textContent = text;
  }

  function show(html) {
    const next = new DOMParser().parseFromString(html, "text/html");
    for (const part of next.querySelectorAll("[data-part]")) {
      const here = document.getElementById(part.id);
      if (here) {
        const open = [...here.querySelectorAll("details")].map((one) => one.open);
        Idiomorph.morph(here, part, { ignoreActiveValue: true });
        document.getElementById(part.id).querySelectorAll("details").forEach((one, n) => {
          one.open = Boolean(open[n]);
        });
      }
    }
    light();
    document.title = next.title;
  }

  function listen() {
    if (events) {
      events.close();
    }
    events = new EventSource(`${root}events?at=${encodeURIComponent(at)}`);
    events.addEventListener("page", (event) => {
      say("live", "live");
      show(event.data);
    });
    events.addEventListener("error", () => {
      say("lost", "not live: the dashboard command does not answer");
      if (events.readyState === EventSource.CLOSED) {
        setTimeout(watch, 2000);
      }
    });
  }

  function watch() {
    // A browser has few connections to one server: pages that nobody sees keep none.
    if (document.hidden) {
      if (events) {
        events.close();
        events = null;
      }
      say("paused", "paused");
    } else {
      listen();
    }
  }

  if ("live" in page.dataset) {
    document.addEventListener("visibilitychange", watch);
    watch();
  }

  // Filters: what is typed is shown at once, and is a part of the address.
  for (const form of document.querySelectorAll("form[data-filter]")) {
    let waiting = 0;
    const take = () => {
      const query = new URLSearchParams(new FormData(form));
      for (const [name, value] of [...query]) {
        if (value === "") {
          query.delete(name);
        }
      }
      const search = query.size ? `?${query}` : "";
      history.replaceState(null, "", location.pathname + search);
      at = page.dataset.at + search;
      watch();
    };
    form.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(take, 200);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(waiting);
      take();
    });
  }

  document.addEventListener("keydown", (event) => {
    const field = document.querySelector("form[data-filter] input[type=search], form.question input");
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && field && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      field.focus();
      field.select();
    }
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) {
      const text = `${document.getElementById(button.dataset.copy).textContent}\n`;
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      setTimeout(() => {
        button.textContent = "Copy";
      }, 1500);
    }
  });

  // The map: the lines of the box under the pointer, or with the focus, stand out. What the server
  // sends knows nothing of that, so they are lit again after it.
  let lit = "";

  function light() {
    const picture = document.getElementById("picture");
    if (!picture) {
      return;
    }
    picture.classList.toggle("lit", Boolean(lit));
    const near = new Set([lit]);
    for (const edge of picture.querySelectorAll(".edge")) {
      const on = Boolean(lit) && (edge.dataset.from === lit || edge.dataset.to === lit);
      edge.classList.toggle("on", on);
      if (on) {
        near.add(edge.dataset.from).add(edge.dataset.to);
      }
    }
    for (const one of picture.querySelectorAll("[data-node]")) {
      one.classList.toggle("on", Boolean(lit) && near.has(one.dataset.node));
    }
  }

  function follow(event) {
    const node = event.target.closest("[data-node]");
    lit = node ? node.dataset.node : "";
    light();
  }
  document.addEventListener("pointerover", follow);
  document.addEventListener("focusin", follow);
})();

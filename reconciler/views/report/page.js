"use strict";
// Shows the data of this page. Every value is added as text; no markup is made from data.
(async () => {
  const $ = (id) => document.getElementById(id);
  if (!globalThis.DecompressionStream) { $("_old").hidden = false; return; }
  const packed = Uint8Array.from(atob($("_data").textContent), (letter) => letter.charCodeAt(0));
  const data = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
  const DAY_S = 86400;
  const OVERSCAN = 8; // rows beyond each edge of the window
  const PRINTED_DETAILS = 200;
  const SHORT = ["finish", "start", "receive", "sending", "error", "status", "discon."];
  const WHY = {
    live: "Plug differs", unapplied: "manifest differs", account: "another account", endpoint: "another endpoint",
    secret: "secret replaced", expired: "too old", "token-expiry": "token ends",
  };
  const SIDES = { live: ["Applied", "In Plug"], unapplied: ["Manifest", "Applied"], endpoint: ["Configured", "Applied"] };
  const standings = data.standings.map(([key, word, glyph]) => ({ key, word, glyph }));
  const cells = data.cells.map(([key, word, glyph]) => ({ key, word, glyph }));
  const FAILING = standings.find((one) => one.key === "failing");
  const DOUBT = cells.find((one) => one.key === "doubt");

  // --- making elements: a text child is a text node ---------------------------------------------------

  const h = (tag, attributes, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.flat().filter((child) => child !== null));
    return made;
  };
  const number = (count) => count.toLocaleString("en-US");
  const counted = (count, one) => `${number(count)} ${one}${count === 1 ? "" : "s"}`;
  const instant = (seconds) => new Date(seconds * 1000).toISOString().replace("T", " ").replace(/(:\d\d)\.000Z$/, "$1 UTC");
  const span = (seconds) => {
    for (const [size, unit] of [[DAY_S, "d"], [3600, "h"], [60, "min"]]) {
      if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
    }
    return `${Math.max(0, Math.floor(seconds))} s`;
  };
  const time = (seconds) => h("time", { datetime: new Date(seconds * 1000).toISOString() }, instant(seconds));
  const link = (address, text) => // only to GitHub; a receiver is never linked, because a click would call it
    address && address.startsWith("https://github.com/") ? h("a", { href: address, rel: "noreferrer" }, text) : text;

  // --- the data -----------------------------------------------------------------------------------------

  const environments = data.environments.map((row, place) => {
    const [name, description, wave, source, standing, cell, failing, applied, urls, findings, intent, history,
      checks, unchecked, serial, last] = row;
    return { name, description, wave, source, standings: [...standing].map((digit) => standings[digit]),
      rank: Number(standing[0]), cells: cell, failing, applied, urls, findings, intent, history, checks, unchecked,
      serial, last, place, haystack: null };
  });
  const byName = new Map(environments.map((env) => [env.name, env]));
  const holds = (env, key) => env.standings.some((one) => one.key === key);
  const searchable = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase(); // S\u00e3o is found by sao
  const haystack = (env) => {
    if (env.haystack === null) {
      const texts = [env.name, env.description, ...env.urls, ...env.findings.flatMap((one) => [one[2], one[3]])];
      env.haystack = searchable(texts.filter((text) => text !== null).join("\n"));
    }
    return env.haystack;
  };
  const why = (env) => {
    const reasons = new Set(env.findings.filter((one) => one[0] in WHY).map((one) => WHY[one[0]]));
    if (env.intent && (holds(env, "doubt") || holds(env, "locked"))) reasons.add(`since ${instant(env.intent[0]).slice(0, 16)} UTC`);
    if (env.failing.length) reasons.add(`${env.failing.length} of 7 receivers`);
    if (holds(env, "orphan")) reasons.add("in no manifest");
    return [...reasons].join(", ");
  };
  const cellWord = (env, event) => {
    const cell = cells[env.cells[event]];
    const doubt = holds(env, "doubt") && cell !== DOUBT ? ", and in doubt" : "";
    return cell.word + doubt + (env.failing.includes(event) ? "; its receiver fails" : "");
  };

  // --- what is shown --------------------------------------------------------------------------------------

  const ORDERS = {
    grave: (a, b) => a.rank - b.rank || a.place - b.place,
    old: (a, b) => (a.applied ? a.applied[0] : Infinity) - (b.applied ? b.applied[0] : Infinity) || a.place - b.place,
    name: (a, b) => (a.name < b.name ? -1 : 1),
    wave: (a, b) => a.place - b.place,
  };
  const chosen = new Set(); // standings
  let ordered = [];
  let shown = [];
  let active = 0; // the row that takes the focus
  let opened = null;
  let ready = false; // whether changes of the filters are kept in the address
  const drawn = new Map(); // index in `shown` -> its row

  const order = () => { ordered = [...environments].sort(ORDERS[$("_order").value]); };
  const filterWords = () => {
    const named = standings.filter((one) => chosen.has(one.key)).map((one) => one.word.toLowerCase());
    return [named.join(" or "), $("_search").value.trim() && `\u201c${$("_search").value.trim()}\u201d`,
      $("_wave").value && `wave ${$("_wave").value}`, $("_days").value && `older than ${$("_days").value} days`]
      .filter(Boolean).join(", ");
  };
  const filter = () => {
    const terms = searchable($("_search").value).split(/\s+/).filter(Boolean);
    const wave = $("_wave").value;
    const days = $("_days").valueAsNumber;
    const before = data.made - days * DAY_S;
    shown = ordered.filter((env) =>
      (chosen.size === 0 || env.standings.some((one) => chosen.has(one.key))) &&
      (wave === "" || String(env.wave) === wave) &&
      (Number.isNaN(days) || (env.applied !== null && env.applied[0] < before)) &&
      (terms.length === 0 || terms.every((term) => haystack(env).includes(term))));
    const kept = opened ? shown.indexOf(opened) : -1;
    active = Math.max(0, kept);
    for (const row of drawn.values()) row.remove();
    drawn.clear();
    $("_count").textContent = shown.length === environments.length
      ? counted(shown.length, "environment") : `${number(shown.length)} of ${counted(environments.length, "environment")}`;
    $("_clear").hidden = filterWords() === "";
    keepAddress();
    $("_none").hidden = shown.length > 0;
    grid.setAttribute("aria-rowcount", shown.length + 1);
    countEvents();
    measure();
    draw();
  };
  const countEvents = () => {
    const counts = new Array(data.events.length).fill(0);
    for (const env of shown) {
      for (let event = 0; event < counts.length; event += 1) {
        if (needsLook(env, event)) counts[event] += 1;
      }
    }
    for (const head of document.querySelectorAll(".columns .event")) {
      const count = counts[head.dataset.event];
      head.lastChild.textContent = count ? number(count) : "\u00a0";
      head.title = `${data.events[head.dataset.event]}: ${count ? `${number(count)} need a look` : "nothing to see to"}`;
    }
  };

  // --- the matrix: only the rows in the window exist --------------------------------------------------------

  const grid = $("_grid");
  const rows = h("div", { role: "rowgroup", class: "rows" });
  let rowHeight = 50;

  const badges = (env, { slim }) => env.standings.map((one, place) => {
    const short = slim && place > 0;
    return h("span", { class: `badge s-${one.key}${short ? " slim" : ""}`, title: one.word },
      h("i", { "aria-hidden": "true" }, one.glyph), short ? h("span", { class: "sr" }, one.word) : ` ${one.word}`);
  });
  const cellParts = (env, event) => {
    const cell = cells[env.cells[event]];
    const glyph = cell.glyph + (holds(env, "doubt") && cell !== DOUBT ? DOUBT.glyph : "");
    return [h("b", { "aria-hidden": "true" }, glyph, env.failing.includes(event) ? h("u", null, FAILING.glyph) : null),
      h("span", { class: "sr" }, `${data.events[event]}: ${cellWord(env, event)}`)];
  };
  const makeRow = (env, place) => {
    const who = env.applied ? env.applied[1] : null;
    const row = h("div", { role: "row", class: "row", tabindex: "-1", "aria-rowindex": place + 2,
      "aria-selected": env === opened ? "true" : "false", "data-place": place },
      h("div", { role: "rowheader", class: "name", title: env.name }, h("span", null, env.name),
        env.description === null ? null : h("small", null, env.description)),
      h("div", { role: "gridcell", class: "standing" }, ...badges(env, { slim: true }), h("small", { title: why(env) }, why(env))),
      ...data.events.map((name, event) => h("div", { role: "gridcell", class: `cell c-${cells[env.cells[event]].key}`,
        title: `${name}: ${cellWord(env, event)}` }, ...cellParts(env, event))),
      h("div", { role: "gridcell", class: "age", title: env.applied ? `applied ${instant(env.applied[0])}` : "never applied" },
        env.applied ? span(data.made - env.applied[0]) : "\u2013"),
      h("div", { role: "gridcell", class: "by" }, who ? h("span", null, who[0] || "\u2013") : "\u2013",
        who && who[1] ? h("small", null, who[1].slice(0, 12)) : null));
    row.style.top = `${place * rowHeight}px`;
    return row;
  };
  const measure = () => {
    rowHeight = parseFloat(getComputedStyle(document.body).getPropertyValue("--row")) || 50;
    rows.style.height = `${shown.length * rowHeight}px`;
  };
  const draw = () => {
    const top = -rows.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / rowHeight) - OVERSCAN);
    const last = Math.min(shown.length - 1, Math.ceil((top + window.innerHeight) / rowHeight) + OVERSCAN);
    for (const [place, row] of drawn) {
      // the row with the focus is kept, also outside of the window
      if ((place < first || place > last) && row !== document.activeElement) { row.remove(); drawn.delete(place); }
    }
    const fresh = [];
    for (let place = first; place <= last; place += 1) {
      if (!drawn.has(place)) { const row = makeRow(shown[place], place); drawn.set(place, row); fresh.push(row); }
    }
    rows.append(...fresh);
    for (const [place, row] of drawn) row.tabIndex = place === active ? 0 : -1;
    if (!drawn.has(active) && drawn.has(first)) drawn.get(first).tabIndex = 0;
  };
  let waiting = false;
  const later = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  };
  const moveTo = (place, { focus }) => {
    if (shown.length === 0) return;
    active = Math.min(shown.length - 1, Math.max(0, place));
    const head = document.querySelector(".columns").getBoundingClientRect().bottom;
    const top = rows.getBoundingClientRect().top + active * rowHeight;
    if (top < head) window.scrollBy(0, top - head);
    else if (top + rowHeight > window.innerHeight) window.scrollBy(0, top + rowHeight - window.innerHeight + 4);
    draw();
    if (focus && drawn.has(active)) drawn.get(active).focus({ preventScroll: true });
  };

  // --- one environment ----------------------------------------------------------------------------------------

  const marked = (tag, value, start, end) => {
    const letters = [...value]; // a span counts characters, not UTF-16
    return [letters.slice(0, start).join(""), start < end ? h(tag, null, letters.slice(start, end).join("")) : null,
      letters.slice(end).join("")];
  };
  const side = (term, ...parts) => [h("dt", null, term), h("dd", { class: "url" }, ...parts)];
  const differences = (finding) => {
    const [kind, , after, before, , at] = finding;
    const [wanted, found] = SIDES[kind] || ["Expected", "Actual"];
    const none = kind === "live" ? "nothing is registered" : "nothing";
    return h("dl", { class: "sides" },
      side(found, ...(before === null ? [none] : at ? marked("del", before, at[0], at[1]) : [before])),
      after === null ? [] : side(wanted, ...(at ? marked("ins", after, at[2], at[3]) : [after])));
  };
  const who = (by) => {
    const [actor, commit, run, commitAddress, runAddress] = by;
    return [actor || "unknown", commit ? [" \u00b7 commit ", link(commitAddress, commit.replace(/^(.{12}).*?(\+?)$/, "$1$2"))] : [],
      run ? [" \u00b7 run ", link(runAddress, run)] : []].flat();
  };
  const notice = (look, title, message, next) => h("div", { class: `notice c-${look}` }, h("b", null, title), ` ${message}`,
    next ? h("p", null, "Next: ", next) : null);
  const LOOKS = { live: "live", uncertain: "doubt", orphan: "orphan", unobservable: "unknown" };
  const TITLES = {
    uncertain: "In doubt:", orphan: "Orphan:", unobservable: "Unknown:", account: "Account:", endpoint: "Endpoint:",
    secret: "Secret:", expired: "Too old:", live: "Live drift:", unapplied: "Not applied:",
    "token-expiry": "Token:",
  };
  const notices = (env) => {
    const next = (kind) => (data.kinds[kind] || "").replaceAll("ENVIRONMENT", env.name);
    const made = [];
    if (holds(env, "locked")) {
      const [at, until, , by] = env.intent;
      made.push(notice("locked", "Locked:", `a run is at work since ${instant(at)}, at the latest until ${instant(until)}.`,
        `wait for it. Only if it is dead: reconciler state unlock ${env.name}`));
      made[0].insertBefore(h("p", null, "By ", ...who(by)), made[0].lastChild);
    }
    const unseen = env.findings.filter((one) => one[0] === "unobservable" && one[1] !== null);
    for (const finding of env.findings) {
      const [kind, event, expected, actual, message] = finding;
      if (event !== null) continue;
      made.push(notice(LOOKS[kind] || "drift", TITLES[kind] || kind, `${message}.`, kind === "unobservable" ? null : next(kind)));
      if (expected !== null || actual !== null) made.at(-1).insertBefore(differences(finding), made.at(-1).lastChild);
    }
    for (const kind of ["live", "unapplied"]) {
      const events = env.findings.filter((one) => one[0] === kind);
      if (events.length) made.push(notice(LOOKS[kind] || "drift", TITLES[kind], `${counted(events.length, "event")}, below.`, next(kind)));
    }
    if (holds(env, "never")) made.push(notice("never", "Never applied:", holds(env, "doubt")
      ? "no PUT of this tool is confirmed, and one that is in doubt may have reached Plug."
      : "no PUT of this tool is confirmed.", next("unapplied")));
    if (unseen.length) made.push(h("p", { class: "aside" }, `${counted(unseen.length, "event")} could not be seen in Plug.`));
    if (env.unchecked.length) made.push(h("p", { class: "aside" }, `Not compared, as not available: ${env.unchecked.join(", ")}.`));
    return made;
  };
  const receiver = (env, id, desired) => {
    const [, url, ok, stage, status, latency, addresses, days, message, warning] = data.checks[id];
    const facts = [status === null ? stage && `after ${stage}` : `status ${status}`,
      latency === null ? "" : `${Math.round(latency * 1000)} ms`, addresses,
      days === null ? "" : `certificate ${counted(days, "day")}`].filter(Boolean).join(" \u00b7 ");
    return h("div", { class: "receiver" },
      h("span", { class: `badge s-${ok ? "sync" : "failing"}` }, ok ? "\u2713 receiver answers" : `${FAILING.glyph} receiver fails`), facts,
      message || warning ? h("div", null, [message, warning].filter(Boolean).join("; ")) : null,
      url === desired ? null : h("div", null, h("small", null, "checked at another URL: "), h("span", { class: "url" }, url)));
  };
  const eventItem = (env, event) => {
    const cell = cells[env.cells[event]];
    const url = env.urls[event];
    const findings = env.findings.filter((one) => one[1] === event);
    const apart = findings.filter((one) => one[0] !== "unobservable");
    const sent = holds(env, "doubt") ? env.intent[4].find(([place]) => place === event) : undefined;
    const home = holds(env, "orphan") ? "Applied" : holds(env, "never") ? "Manifest" : "URL";
    return h("li", { class: `c-${cell.key}` },
      h("span", { class: `mark c-${cell.key}`, "aria-hidden": "true" }, cell.glyph),
      h("h4", null, data.events[event], h("small", null, cellWord(env, event))),
      ...apart.map((finding) => differences(finding)),
      apart.length || url === null ? null : h("dl", { class: "sides" }, side(home, url)),
      sent ? h("dl", { class: "sides" }, side("The PUT in doubt sent", sent[1] === url ? "what the manifest says" : sent[1])) : null,
      ...findings.filter((one) => one[0] === "unobservable" || one[0] === "live")
        .map((one) => h("div", null, h("small", null, one[4]))),
      ...env.checks.filter((check) => data.checks[check][0] === event).map((check) => receiver(env, check, url)));
  };
  const changes = (pairs, moves = []) => {
    return pairs.length + moves.length === 0 ? h("div", null, h("small", null, "the same webhooks were sent again"))
      : h("dl", { class: "sides" }, ...moves.flatMap(([name, value]) => side(name, value)),
        ...pairs.flatMap(([event, url]) => side(data.events[event], url)));
  };
  const timeline = (env) => {
    const items = env.history.map(([at, by, adopted, delta, moves]) => h("li", null, h("b", null, adopted ? "Adopted" : "Applied"), " ",
      time(at), ` (${span(data.made - at)} before this page was made) by `, ...who(by), changes(delta, moves)));
    if (env.intent) {
      const [at, , doubt, by, delta] = env.intent;
      const what = holds(env, "locked") ? (doubt ? "At work, an earlier PUT in doubt" : "At work") : "In doubt";
      items.unshift(h("li", { class: "open" }, h("b", null, what), " since ", time(at), " by ", ...who(by), changes(delta)));
    }
    return items.length ? h("ol", { class: "timeline" }, ...items) : h("p", null, "Nothing was ever applied.");
  };
  const needsLook = (env, event) =>
    !["sync", "unknown"].includes(cells[env.cells[event]].key) || env.failing.includes(event);
  const eventList = (env, heading, events) => events.length === 0 ? []
    : [h("h3", null, heading), h("ul", { class: "events" }, ...events.map((event) => eventItem(env, event)))];
  const detail = (env, nameId) => {
    const fact = (term, ...parts) => [h("dt", null, term), h("dd", null, ...parts)];
    const places = data.events.map((_, event) => event);
    const grave = places.filter((event) => needsLook(env, event));
    const rest = places.filter((event) => !needsLook(env, event));
    return h("article", { class: "one" },
      h("h2", { id: nameId }, env.name), h("p", null, ...badges(env, { slim: false }).flatMap((badge) => [badge, " "])),
      env.description === null ? null : h("p", null, env.description),
      ...notices(env), ...eventList(env, "Events that need a look", grave),
      h("dl", { class: "facts" },
        env.source === null ? [] : [...fact("Manifest", h("code", null, env.source)), ...fact("Wave", String(env.wave))],
        env.applied ? fact(env.applied[2] ? "Adopted" : "Applied", time(env.applied[0]),
          ` (${span(data.made - env.applied[0])} before this page was made)`) : fact("Applied", "never"),
        env.applied ? fact("By", ...who(env.applied[1])) : [],
        env.serial ? fact("State serial", String(env.serial)) : [],
        env.last ? fact("Last try", `${env.last[0]}${env.last[1] === null ? "" : `, status ${env.last[1]}`}, `, time(env.last[3]),
          " by ", ...who(env.last[4]), env.last[2] ? h("div", null, env.last[2]) : null) : []),
      ...eventList(env, grave.length ? "Other events" : "Events", rest),
      h("h3", null, "History"), timeline(env));
  };
  const step = (by) => {
    const place = shown.indexOf(opened);
    return place < 0 ? undefined : shown[place + by];
  };
  const open = (env, { focus }) => {
    opened = env;
    const panel = $("_detail");
    const button = (label, words, env_) => {
      const made = h("button", { type: "button", class: "plain", "aria-label": words, disabled: env_ === undefined }, label);
      made.addEventListener("click", () => go(env_));
      return made;
    };
    const close = h("button", { type: "button", class: "plain close" }, "Close");
    close.addEventListener("click", shut);
    panel.replaceChildren(h("div", { class: "detailbar" }, button("\u2191 Previous", "Previous environment of the list", step(-1)),
      button("\u2193 Next", "Next environment of the list", step(1)), close), detail(env, "_name"));
    panel.hidden = false;
    panel.scrollTop = 0;
    document.body.classList.add("open");
    document.title = `${env.name} \u00b7 webhooks`;
    const place = shown.indexOf(env);
    measure();
    for (const row of drawn.values()) row.remove();
    drawn.clear();
    if (place >= 0) moveTo(place, { focus: false }); else draw();
    if (focus) panel.focus();
  };
  const title = document.title;
  const shut = () => {
    if (opened === null) return;
    const place = shown.indexOf(opened);
    opened = null;
    $("_detail").hidden = true;
    $("_detail").replaceChildren();
    document.body.classList.remove("open");
    document.title = title;
    keepAddress();
    for (const row of drawn.values()) row.remove();
    drawn.clear();
    moveTo(place >= 0 ? place : active, { focus: true });
  };

  // --- the address: #ENVIRONMENT?FILTERS, so that a link shows the same list -----------------------------------------

  const FILTERS = { search: "_search", wave: "_wave", days: "_days" };
  const makeFragment = (env) => {
    const filters = new URLSearchParams();
    for (const one of standings) if (chosen.has(one.key)) filters.append("state", one.key);
    for (const [name, id] of Object.entries(FILTERS)) if ($(id).value.trim() !== "") filters.set(name, $(id).value.trim());
    if ($("_order").value !== "grave") filters.set("order", $("_order").value);
    const query = filters.toString();
    return `${env ? `#${encodeURIComponent(env.name)}` : query && "#"}${query && `?${query}`}`;
  };
  const keepAddress = () => {
    if (!ready) return;
    const fragment = makeFragment(opened);
    if (location.hash !== fragment) history.replaceState(null, "", fragment || location.pathname + location.search);
  };
  const takeFilters = (filters, env) => {
    ready = false; // while an address is read, none is written
    const before = makeFragment(env);
    chosen.clear();
    for (const key of filters.getAll("state")) if (standings.some((one) => one.key === key)) chosen.add(key);
    for (const tile of document.querySelectorAll("button.tile")) tile.setAttribute("aria-pressed", String(chosen.has(tile.dataset.standing)));
    for (const [name, id] of Object.entries(FILTERS)) $(id).value = filters.get(name) || "";
    $("_order").value = filters.get("order") || "grave";
    if ($("_order").value === "") $("_order").value = "grave";
    if (makeFragment(env) !== before) { order(); filter(); }
    ready = true;
  };
  const go = (env) => {
    if (!env) return;
    const hash = makeFragment(env);
    if (location.hash === hash) open(env, { focus: true }); else location.hash = hash;
  };
  const follow = () => {
    const [place, query = ""] = location.hash.slice(1).split("?", 2);
    let name = place;
    try { name = decodeURIComponent(place); } catch { /* show it unchanged */ }
    const env = byName.get(name);
    takeFilters(new URLSearchParams(query), env || null);
    if (name === "") { if (opened) shut(); return; }
    if (env) open(env, { focus: true });
    else $("_count").textContent = `No environment ${name} in this report`;
  };

  // --- on paper: the filtered list, and the details of what is not in sync ------------------------------------------

  const printed = () => {
    if ($("_print").firstChild) return;
    const grave = shown.filter((env) => env === opened || env.standings.some((one) => one.key !== "sync"));
    const detailed = grave.slice(0, PRINTED_DETAILS);
    const words = filterWords();
    $("_print").replaceChildren(
      h("p", null, words ? `Shown: ${words}: ` : "Shown: all, ", $("_count").textContent, "."),
      h("table", null,
        h("thead", null, h("tr", null, ...["Environment", "State"].map((name) => h("th", { scope: "col" }, name)),
          ...data.events.map((name) => h("th", { scope: "col", class: "event" }, ...broken(name))),
          ...["Age when made", "Applied by"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", null, ...shown.map((env) => h("tr", null, h("th", { scope: "row" }, env.name),
          h("td", null, ...badges(env, { slim: false })),
          ...data.events.map((_, event) => h("td", { class: `event cell-${cells[env.cells[event]].key}` },
            cells[env.cells[event]].glyph, env.failing.includes(event) ? FAILING.glyph : "")),
          h("td", null, env.applied ? span(data.made - env.applied[0]) : "\u2013"),
          h("td", null, env.applied ? env.applied[1][0] || "\u2013" : "\u2013"))))),
      h("p", null, "Signs: ", cells.map((one) => `${one.glyph} ${one.word}`).join("; "), `; ${FAILING.glyph} its receiver fails.`),
      ...detailed.map((env) => detail(env, null)),
      grave.length > detailed.length ? h("p", null, `The details of ${number(grave.length - detailed.length)} more are not printed: narrow the list.`) : "");
  };
  const broken = (name) => name.split(/(?=[A-Z])/).flatMap((part) => [part, h("wbr")]);

  // --- wiring --------------------------------------------------------------------------------------------------------

  const setUpHead = () => {
    for (const head of document.querySelectorAll(".columns .event")) {
      const name = data.events[head.dataset.event];
      head.append(h("span", { class: "long" }, ...broken(name)), h("span", { class: "short" }, SHORT[head.dataset.event]), h("b"));
    }
    const labels = ["Environment", "State", ...data.events, "Age when this page was made", "Applied by"];
    grid.append(h("div", { role: "rowgroup", class: "sr" }, h("div", { role: "row", "aria-rowindex": 1 },
      ...labels.map((label) => h("span", { role: "columnheader" }, label)))), rows);
    const waves = [...new Set(environments.filter((env) => env.source !== null).map((env) => env.wave))].sort((a, b) => a - b);
    $("_wave").append(...waves.map((wave) => h("option", { value: String(wave) }, String(wave))));
    const age = Date.now() / 1000 - data.made;
    if (age >= 3600) $("_stale").textContent = `${span(age)} ago; all ages are as of then`;
    for (const tile of document.querySelectorAll("button.tile")) {
      tile.disabled = false;
      tile.addEventListener("click", () => {
        const { standing } = tile.dataset;
        if (!chosen.delete(standing)) chosen.add(standing);
        tile.setAttribute("aria-pressed", String(chosen.has(standing)));
        filter();
      });
    }
  };
  const clear = () => {
    chosen.clear();
    for (const tile of document.querySelectorAll("button.tile")) tile.setAttribute("aria-pressed", "false");
    for (const id of ["_search", "_wave", "_days"]) $(id).value = "";
    filter();
  };
  const THEMES = ["auto", "light", "dark"];
  const nextTheme = () => {
    const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme || "auto") + 1) % THEMES.length];
    document.documentElement.dataset.theme = theme;
    $("_theme").textContent = `Theme: ${theme}`;
  };
  const onGridKey = (event) => {
    const page = Math.max(1, Math.floor(window.innerHeight / rowHeight) - 4);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in steps) moveTo(active + steps[event.key], { focus: true });
    else if (event.key === "Enter" || event.key === " ") go(shown[active]);
    else return;
    event.preventDefault();
  };
  const onKey = (event) => {
    if (event.key === "Escape" && opened) { shut(); event.preventDefault(); }
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) { $("_search").focus(); event.preventDefault(); }
    if (event.key === "ArrowDown" && document.activeElement === $("_search")) { moveTo(active, { focus: true }); event.preventDefault(); }
  };

  setUpHead();
  $("_app").hidden = false;
  $("_theme").hidden = false;
  order();
  filter();
  rows.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row && String(getSelection()) === "") go(shown[row.dataset.place]);
  });
  rows.addEventListener("focusin", (event) => {
    const row = event.target.closest(".row");
    if (row) active = Number(row.dataset.place);
  });
  rows.addEventListener("keydown", onGridKey);
  document.addEventListener("keydown", onKey);
  $("_tools").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["_search", "_wave", "_days"]) $(id).addEventListener("input", filter);
  $("_order").addEventListener("change", () => { order(); filter(); });
  for (const button of [$("_clear"), ...document.querySelectorAll("[data-clear]")]) button.addEventListener("click", clear);
  $("_theme").addEventListener("click", nextTheme);
  window.addEventListener("scroll", later, { passive: true });
  window.addEventListener("resize", () => {
    measure();
    for (const row of drawn.values()) row.remove();
    drawn.clear();
    draw();
  });
  window.addEventListener("hashchange", follow);
  window.addEventListener("beforeprint", printed);
  window.addEventListener("afterprint", () => $("_print").replaceChildren());
  matchMedia("print").addEventListener("change", (media) => { if (media.matches) printed(); else $("_print").replaceChildren(); });
  follow();
})();

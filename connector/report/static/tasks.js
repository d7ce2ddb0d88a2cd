"use strict";

/** The task IDs behind a mark: what was clicked, cut by the filters. */
const Tasks = (() => {
  const { make } = Elements;
  const { tasks, values } = Data;
  const panel = document.getElementById("tasks");
  const DAY = 86400;
  const UNFINISHED = new Set(["queued", "running", "unknown"]);
  let shown = [];

  const isOutcome = (status, outcome) => {
    const name = Data.statuses[status];
    return !outcome || name === outcome || (outcome === "unfinished" && UNFINISHED.has(name));
  };

  const months = (seconds) => {
    const at = new Date(1000 * seconds);
    return 12 * at.getUTCFullYear() + at.getUTCMonth();
  };

  /** Whether a task ID has this value of a dimension. */
  function has(row, dimension, value) {
    const created = tasks.created[row];
    const days = Math.floor(Data.newest / DAY) - Math.floor(created / DAY);
    const undated = tasks.age[row] === Data.cube.sizes.ages - 1;
    if (dimension === "all") return true;
    if (dimension === "term") return ((tasks.cut.term[row] >> value) & 1) === 1;
    if (dimension === "hour") return created >= 0 && new Date(1000 * created).getUTCHours() === value;
    if (["day", "week", "month"].includes(dimension) && undated) return false;
    if (dimension === "day") return days === value;
    if (dimension === "week") return Math.floor(days / 7) === value;
    if (dimension === "month") return months(Data.newest) - months(created) === value;
    return tasks.cut[dimension]?.[row] === value;
  }

  function matching({ dimension, value, outcome }) {
    const rows = [];
    for (let row = 0; row < tasks.ids.length && rows.length < Data.each; row += 1) {
      const at = {
        age: tasks.age[row],
        model: tasks.cut.model?.[row] ?? 0,
        status: tasks.status[row],
        by: tasks.cut.by?.[row] ?? 0,
      };
      if (Cube.passes(at) && isOutcome(at.status, outcome) && has(row, dimension, value)) rows.push(row);
    }
    return rows;
  }

  function count({ dimension, value, outcome }) {
    const of = Cube.counts(dimension).get(value) ?? [];
    return of.reduce((sum, number, status) => sum + (isOutcome(status, outcome) ? number : 0), 0);
  }

  // The query for the rest.

  const quote = (text) => `'${String(text).replaceAll("'", "''")}'`;
  const iso = (seconds) => quote(new Date(1000 * seconds).toISOString().slice(0, 10));

  function equals(column, text, unknown) {
    if (text === unknown) return `${column} IS NULL`;
    return text.endsWith("…") ? `starts_with(${column}, ${quote(text.slice(0, -1))})` : `${column} = ${quote(text)}`;
  }

  function span(first, days) {
    return `created_at >= TIMESTAMPTZ ${iso(first)} AND created_at < TIMESTAMPTZ ${iso(first + days * DAY)}`;
  }

  function ofSize(text) {
    const [width, height] = text.split(" × ");
    if (height) return `video_width = ${Number(width)} AND video_height = ${Number(height)}`;
    const asked = text === "unknown" ? "''" : quote(text.replace(" (requested)", ""));
    return `video_width IS NULL AND concat_ws(' ', resolution, aspect_ratio) = ${asked}`;
  }

  function ofMonth(value) {
    const number = months(Data.newest) - value;
    const first = Date.UTC(Math.floor(number / 12), number % 12) / 1000;
    const next = Date.UTC(Math.floor((number + 1) / 12), (number + 1) % 12) / 1000;
    return span(first, (next - first) / DAY);
  }

  const CONDITIONS = {
    all: () => "true",
    model: (value) => equals("model", values.model[value], "unknown model"),
    reason: (value) => `status = 'failed' AND ` + equals("trim(failure_reason)", values.reason[value], "no reason given"),
    category: (value) => `status = 'failed' AND ` + equals("failure_category", Data.category_codes[value] ?? "", ""),
    size: (value) => ofSize(values.size[value]),
    asked: (value) => equals("requested_resolution", values.asked[value], "unknown"),
    format: (value) => equals("aspect_ratio", values.format[value], "unknown"),
    delivered: (value) => `round(video_duration_seconds) = ${parseInt(values.delivered[value], 10) || 0}`,
    requested: (value) => `round(duration_seconds) = ${parseInt(values.requested[value], 10) || 0}`,
    length: (value) => {
      const [low, high] = [Data.lengths[value - 1] ?? -1, Data.lengths[value] ?? null];
      const least = value ? `prompt_characters > ${low}` : "coalesce(prompt_characters, 0) = 0";
      return value && high !== null ? `${least} AND prompt_characters <= ${high}` : least;
    },
    basis: (value) => `task_id IN (SELECT task_id FROM timings WHERE basis = ${quote(values.basis[value])})`,
    hour: (value) => `hour(created_at AT TIME ZONE 'UTC') = ${value}`,
    day: (value) => span(Data.newest - value * DAY, 1),
    week: (value) => span(Data.newest - (7 * value + 6) * DAY, 7),
    month: ofMonth,
    family: (value) =>
      `prompt_id IN (SELECT prompt_id FROM prompts WHERE family_id = ${quote(Data.families[value].id)})`,
    prompt: (value) => `prompt_id = ${quote(Data.prompt_ids[value])}`,
    term: (value) => `contains(lower(prompt), ${quote(Data.terms[value].text)})`,
    by: (value) => equals(Data.by_column, values.by[value], "unknown"),
  };

  /** SQL over the DuckDB catalogue, or null where a value stands for several. */
  function query({ dimension, value, outcome }) {
    const { filter, ALL } = Cube;
    const named = [["model", filter.model], ["by", filter.by], [dimension, value]];
    const chosen = named.filter(([name, at], index) => index === 2 || at !== ALL);
    if (chosen.some(([name, at]) => values[name]?.[at] === "others")) return null;
    if (chosen.some(([name]) => name === "by" && !Data.by_column)) return null;
    const statuses = [
      outcome === "unfinished" ? "status NOT IN ('completed', 'failed')" : outcome && `status = ${quote(outcome)}`,
      filter.status !== ALL && `status = ${quote(Data.statuses[filter.status])}`,
    ];
    const source = values.model_source[dimension === "model" ? value : filter.model];
    const conditions = [
      ...chosen.map(([name, at]) => CONDITIONS[name](at)),
      source && `model_source = ${quote(source)}`,
      ...statuses,
      filter.period !== ALL && `created_at >= TIMESTAMPTZ ${iso(Data.newest - (Data.ages[filter.period] - 1) * DAY)}`,
    ].filter(Boolean);
    return `SELECT task_id FROM generations WHERE ${[...new Set(conditions)].join(" AND ")}`;
  }

  // What is shown.

  function link(row) {
    const url = tasks.links[row];
    const expires = tasks.expires[row];
    if (!url || (expires && 1000 * expires <= Date.now())) return null;
    return make("a", { text: "file", href: url, target: "_blank", rel: "noopener noreferrer" });
  }

  function line({ id, when, status, row }) {
    const children = [make("code", { text: id, dir: "auto" })];
    if (row !== undefined && tasks.thumbnails[row]) {
      const src = tasks.thumbnails[row];
      children.unshift(make("img", { src, alt: "", loading: "lazy", referrerpolicy: "no-referrer" }));
    }
    if (status) children.push(make("span", { className: `outcome ${status}`, text: status }));
    children.push(make("span", { className: "when", text: when }));
    const file = row === undefined ? null : link(row);
    if (file) children.push(file);
    return make("li", { children });
  }

  const when = (seconds) =>
    seconds < 0 ? "" : new Date(1000 * seconds).toISOString().slice(0, 16).replace("T", " ");

  function open(pick, title) {
    const rows = matching(pick).map((row) => ({
      id: tasks.ids[row],
      when: when(tasks.created[row]),
      status: Data.statuses[tasks.status[row]],
      row,
    }));
    show(rows, count(pick), title, query(pick));
  }

  /** Task IDs without a generation. */
  function openRejects({ label, reason, again, count: total, tasks: of }) {
    const rows = of.map(([id, at]) => ({ id, when: at }));
    const isFinal = again === "only on request";
    show(rows, total, label, `SELECT task_id FROM rejects WHERE reason = ${quote(reason)} AND is_final = ${isFinal}`);
  }

  function show(rows, total, title, sql) {
    shown = rows;
    panel.querySelector("h2").textContent = title;
    const all = rows.length === total ? "all of them" : `${Words.number(rows.length)} of them, newest first`;
    panel.querySelector(".hint").textContent = `${Words.plural(total, "task ID")}: ${all}`;
    panel.querySelector("ol").replaceChildren(...rows.map(line));
    const rest = panel.querySelector(".rest");
    rest.hidden = rows.length === total || !sql;
    rest.querySelector("code").textContent = sql ?? "";
    if (!panel.open) panel.showModal();
    panel.querySelector("ol").scrollTop = 0;
  }

  async function copy(event) {
    const text = shown.map(({ id }) => id).join("\n");
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without the permission, as in an embedded page.
      const area = make("textarea", { text });
      panel.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    event.target.textContent = "Copied";
    setTimeout(() => (event.target.textContent = "Copy"), 1500);
  }

  /** A cell that no spreadsheet takes for a formula. */
  function cell(text) {
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  function csv() {
    const lines = shown.map(({ id, when: at, status }) => [id, status ?? "rejected", at].map(cell).join(","));
    return ["task_id,status,time_utc", ...lines, ""].join("\r\n");
  }

  function save() {
    const href = URL.createObjectURL(new Blob(["\ufeff", csv()], { type: "text/csv" }));
    make("a", { href, download: "task_ids.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(href), 1000);
  }

  panel.querySelector(".copy").addEventListener("click", copy);
  panel.querySelector(".save").addEventListener("click", save);
  panel.querySelector(".close").addEventListener("click", () => panel.close());
  panel.addEventListener("click", (event) => event.target === panel && panel.close());

  /** How many, the IDs that are here, and the query for all. */
  const about = (pick) => [count(pick), matching(pick).map((row) => tasks.ids[row]), query(pick)];

  return { open, openRejects, about, csv };
})();

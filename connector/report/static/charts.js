"use strict";

/**
 * The charts: for each place in the page a function of the filters' counts. It gives views (a label,
 * a chart) and a remark; no views if there is nothing to show, and null if the card is not needed.
 */
const Charts = (() => {
  const { number, percent, seconds, estimate, plural, day } = Words;
  const { values } = Data;
  const DAY = 86400;
  const SHOWN = 9;
  const one = (spec, remark = "") => ({ views: [{ label: "", spec }], remark });
  const nothing = { views: [], remark: "" };
  const { ALL, filter } = Cube;

  function leftOut(rows, noun) {
    const rest = rows.slice(SHOWN);
    const sum = rest.reduce((total, row) => total + row.total, 0);
    return rest.length ? `Not shown: ${plural(rest.length, `other ${noun}`)}, ${number(sum)} in all.` : "";
  }

  function outcomeRow(dimension, row, share = percent(row.failed, row.finished)) {
    const name = values[dimension][row.value];
    return {
      ...row,
      name,
      label: name,
      text: row.finished && share.endsWith("%") ? `${number(row.total)} · ${share} failed` : number(row.total),
      failed_of_finished: share,
      pick: { dimension, value: row.value },
    };
  }

  function byOutcome(dimension, description, noun, share) {
    const rows = Cube.rows(dimension);
    if (!rows.length) return nothing;
    const shown = rows.slice(0, SHOWN).map((row) => outcomeRow(dimension, row, share?.(row)));
    return one(Specs.byOutcome(description, shown), leftOut(rows, noun));
  }

  /** A storage path is known of videos alone: such a model seems never to fail. */
  function modelShare(row) {
    const isStored = values.model_source[row.value] === "storage";
    return isStored ? "not known: only videos name this model" : percent(row.failed, row.finished);
  }

  /** A failure has no video, so shares of failures are compared by what was requested. */
  function sizes() {
    const delivered = byOutcome("size", "Generations by size of the video and outcome", "size", () => "not known: a failure has no video");
    const asked = byOutcome("asked", "Generations by requested resolution and outcome", "resolution");
    const views = [["Delivered", delivered], ["Requested", asked]].flatMap(([label, found]) =>
      found.views.map(({ spec }) => ({ label, spec })),
    );
    return { views, remark: delivered.remark };
  }

  function counted(dimension, rows, count = (row) => row.total) {
    const total = rows.reduce((sum, row) => sum + count(row), 0);
    return rows.slice(0, SHOWN).map((row) => {
      const name = values[dimension][row.value];
      const share = percent(count(row), total);
      const text = `${number(count(row))} · ${share}`;
      return { name, label: name, text, count: count(row), share, pick: { dimension, value: row.value } };
    });
  }

  function plain(dimension, description, noun, color) {
    const rows = Cube.rows(dimension);
    if (!rows.length) return nothing;
    return one(Specs.plain(description, counted(dimension, rows), { value: color }), leftOut(rows, noun));
  }

  // Over time.

  /** Days for up to three months, weeks for a year, else months. */
  function unit() {
    const days = filter.period === ALL ? Data.periods.days : Math.min(Data.ages[filter.period], Data.periods.days);
    return days <= 91 ? "day" : days <= 371 ? "week" : "month";
  }

  function start(span, value) {
    if (span === "day") return new Date(1000 * (Data.newest - value * DAY));
    if (span === "week") return new Date(1000 * (Data.newest - (7 * value + 6) * DAY));
    const newest = new Date(1000 * Data.newest);
    return new Date(Date.UTC(newest.getUTCFullYear(), newest.getUTCMonth() - value));
  }

  function activity() {
    const span = unit();
    const rows = Cube.rows(span).map(({ value, total, statuses }) => {
      const first = start(span, value);
      const month = first.toLocaleDateString("en", { month: "long", year: "numeric", timeZone: "UTC" });
      const name = { day: day(first), week: `week from ${day(first)}`, month }[span];
      const counts = Object.fromEntries(Data.statuses.map((status, index) => [status, statuses[index]]));
      return { period: first.toISOString(), name, total, ...counts, pick: { dimension: span, value } };
    });
    if (!rows.length) return nothing;
    const shortest = { day: 13, week: 90, month: 365 }[span];
    const newest = 1000 * Data.newest;
    const oldest = Math.min(...rows.map((row) => Date.parse(row.period)), newest - 1000 * DAY * shortest);
    const at = (moment) => {
      const found = new Date(moment);
      return { year: found.getUTCFullYear(), month: found.getUTCMonth() + 1, date: found.getUTCDate(), utc: true };
    };
    const x = {
      field: "period",
      type: "temporal",
      timeUnit: { day: "utcyearmonthdate", week: { unit: "utcyearmonthdate", step: 7 }, month: "utcyearmonth" }[span],
      title: null,
      scale: { domain: [at(oldest), at(newest + 1000 * DAY * (span === "month" ? 31 : 1))] },
      axis: {
        grid: false,
        tickCount: { expr: "max(2, width / 84)" },
        format: { year: "%b %Y", quarter: "%b %Y", month: "%b %Y", date: "%-d %b", week: "%-d %b", day: "%-d %b" },
        labelOverlap: "greedy",
      },
    };
    const mark = rows.length < 45 ? {} : { strokeWidth: 0 };
    const title = `Generations per ${span}`;
    const spec = Specs.columns(`${title}, by status`, rows, x, Specs.STATUSES, title, 220, mark);
    const undated = Cube.total().total - rows.reduce((sum, row) => sum + row.total, 0);
    const without = `${plural(undated, "generation")} without a usable creation time`;
    return one(spec, undated && span === unit() ? `Not shown: ${without}.` : "");
  }

  // Failures.

  function reasons() {
    const rows = Cube.rows("reason");
    return rows.length
      ? one(Specs.plain("Failed generations by reason", counted("reason", rows), { value: "@failed" }), leftOut(rows, "reason"))
      : nothing;
  }

  // Turnaround.

  const periods = new Set(Object.keys(Data.spans.curves).map((key) => Number(key.split("|")[0])));
  const period = () => (periods.has(filter.period) ? filter.period : ALL);
  const notCut = () => {
    const is_cut = filter.by !== ALL;
    return is_cut ? `Estimates are not cut by ${Data.by}.` : "";
  };

  function curve(model = filter.model) {
    return Data.spans.curves[`${period()}|${model}|${filter.status}`];
  }

  const notEstimated = () => ({
    ...nothing,
    remark: filter.model !== ALL && filter.status !== ALL ? "Not estimated for one model and one status together." : "",
  });

  const TICKS = [0.1, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800, 43200, 86400, 604800, 2592000, 31536000];

  function spread() {
    const found = curve();
    if (!found?.points.length) return notEstimated();
    const rows = found.points.map(([at, share, lower, upper]) => ({
      at,
      share,
      lower,
      upper,
      name: `within ${seconds(at)}`,
      finished: share === null ? "not known" : `about ${percent(share, 1)}`,
      "95% sure": `${percent(lower, 1)} to ${percent(upper, 1)}`,
      pick: { dimension: "all", value: 0 },
    }));
    const x = {
      field: "at",
      type: "quantitative",
      title: "Time since creation",
      scale: { type: "log", nice: false },
      axis: { values: TICKS, labelExpr: Specs.TIME_LABELS, labelOverlap: "greedy", labelSeparation: 10, grid: false },
    };
    const y = { type: "quantitative", title: "Share finished", scale: { domain: [0, 1] }, axis: { format: "%", tickCount: 5 } };
    const spec = Specs.chart("Estimated share of generations finished within a time, with its 95% band", rows, 240, {
      encoding: { x },
      layer: [
        { mark: { type: "area", color: "@range", opacity: 0.25 }, encoding: { y: { field: "lower", ...y }, y2: { field: "upper" } } },
        { mark: { type: "line", color: "@range", strokeWidth: 2 }, encoding: { y: { field: "share", ...y } } },
        {
          mark: { type: "rule", strokeWidth: 9, opacity: 0, color: "@range" },
          encoding: {
            y: { field: "lower", ...y },
            y2: { field: "upper" },
            tooltip: Specs.tooltip(["name", "finished", "95% sure"]),
          },
        },
      ],
    });
    const half = estimate(found.p50, found.p50_lower, found.p50_upper);
    const told = half === "not known" ? "Half within: not known yet" : `Half within ${half}`;
    return one(spec, `${told}; of ${plural(found.generations, "generation")}. ${notCut()}`);
  }

  function byModel() {
    const models = Array.from({ length: Data.spans.models }, (_, index) => index);
    const cases = [["Half within", "p50"], ["Nine in ten within", "p90"]];
    const views = cases.map(([label, level]) => {
      const rows = models
        .filter((model) => [ALL, model].includes(filter.model) && curve(model))
        .map((model) => {
          const found = curve(model);
          const [value, lower, upper] = [found[level], found[`${level}_lower`], found[`${level}_upper`]];
          const text = estimate(value, lower, upper);
          const name = values.model[model];
          return { name, label: name, text, within: text, value, lower: lower ?? 0, upper, generations: found.generations,
            known: value !== null, pick: { dimension: "model", value: model } };
        })
        .filter((row) => row.upper !== null);
      if (!rows.length) return null;
      const x = { type: "quantitative", axis: null, scale: { nice: false, domainMin: 0 } };
      const tooltip = Specs.tooltip(["name", "within"], ["generations"]);
      const opacity = { condition: { test: "datum.known", value: 0.55 }, value: 0.2 };
      const ticks = { mark: { type: "tick", color: "@text", thickness: 2, height: 14, cursor: "pointer" },
        encoding: { x: { field: "value", ...x }, opacity: { condition: { test: "datum.known", value: 1 }, value: 0 }, tooltip } };
      const spec = Specs.labelled(`${label}, by model, with its 95% band`, rows,
        { mark: { color: "@range", cornerRadius: 3, stroke: "@range", strokeWidth: 2 },
          encoding: { x: { field: "lower", ...x }, x2: { field: "upper" }, opacity, tooltip } },
        ...(rows.some((row) => row.known) ? [ticks] : []));
      return { label, spec };
    });
    return { views: views.filter(Boolean), remark: notCut() };
  }

  const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400, 172800, 864000];

  /** Round times up to the longest, few enough to read. */
  function ticks(longest) {
    const step = STEPS.find((one) => longest <= 6 * one) ?? longest;
    return Array.from({ length: Math.floor(longest / step) + 2 }, (_, index) => index * step);
  }

  function hours() {
    const models = filter.model === ALL ? Array.from({ length: Data.spans.models }, (_, index) => index) : [filter.model];
    const rows = models.flatMap((model) =>
      (Data.spans.hours[`${period()}|${model}`] ?? []).flatMap(([median, generations], hour) =>
        median === null ? [] : [{
          hour, median, generations, model: values.model[model], name: `${values.model[model]}, ${String(hour).padStart(2, "0")}:00 UTC`,
          half_within: `about ${seconds(median)}`, pick: { dimension: "hour", value: hour },
        }],
      ),
    );
    if (!rows.length) return nothing;
    const names = [...new Set(rows.map((row) => row.model))];
    const color = { field: "model", type: "nominal", legend: { orient: "top", title: null },
      scale: { domain: names, range: names.map((_, index) => `@kind-${index + 1}`) } };
    const spec = Specs.chart("Estimated median turnaround by hour of creation and model", rows, 240, {
      encoding: {
        x: { field: "hour", type: "quantitative", title: "Hour of creation (UTC)", scale: { domain: [0, 23] },
          axis: { values: [0, 3, 6, 9, 12, 15, 18, 21], grid: false } },
        y: { field: "median", type: "quantitative", title: "Half within", scale: { domainMin: 0 },
          axis: { labelExpr: Specs.TIME_LABELS, values: ticks(Math.max(...rows.map((row) => row.median))) } },
        color,
        tooltip: Specs.tooltip(["name", "half_within"], ["generations"]),
      },
      layer: [{ mark: { type: "line", strokeWidth: 1.5 } }, { mark: { type: "circle", size: 50, opacity: 1, cursor: "pointer" } }],
    });
    return one(spec, `Of all statuses. ${notCut()}`);
  }

  function bases() {
    const rows = Cube.rows("basis");
    if (!rows.length) return nothing;
    const shown = counted("basis", rows).map((row) => ({
      ...row,
      label: row.name[0].toUpperCase() + row.name.slice(1),
      meaning: Data.bases[row.pick.value],
    }));
    return one(Specs.plain("Generations by the source of their bounds", shown, { value: "@range" }, ["meaning"]));
  }

  /** A quantile of numbers that were counted in steps of 5%. */
  function quantile(rows, share) {
    const total = rows.reduce((sum, row) => sum + row.total, 0);
    let before = 0;
    for (const row of [...rows].sort((a, b) => a.value - b.value)) {
      before += row.total;
      if (before >= share * total) return 0.1 * Data.stage_step ** row.value;
    }
    return 0;
  }

  function stages() {
    const rows = [["Waiting", "queue"], ["Working", "work"]].flatMap(([name, dimension]) => {
      const found = Cube.rows(dimension);
      if (!found.length) return [];
      const [typical, slow] = [quantile(found, 0.5), quantile(found, 0.9)];
      const generations = found.reduce((sum, row) => sum + row.total, 0);
      const text = `about ${seconds(typical)} · 9 in 10 within ${seconds(slow)}`;
      return [{ name, label: name, text, zero: 0, typical, slow, median: seconds(typical), nine_in_ten_within: seconds(slow),
        generations, pick: { dimension: "all", value: 0 } }];
    });
    if (!rows.length) return null;
    const x = { type: "quantitative", axis: null, scale: { nice: false, domainMin: 0 } };
    const tooltip = Specs.tooltip(["name", "median", "nine_in_ten_within"], ["generations"]);
    const parts = [["zero", "typical", 1], ["typical", "slow", 0.35]].map(([from, to, opacity]) => ({
      mark: { opacity },
      encoding: { x: { field: from, ...x }, x2: { field: to }, color: { value: "@range" }, tooltip },
    }));
    const counts = rows.map((row) => `${row.name}: ${plural(row.generations, "generation")}.`).join(" ");
    return one(Specs.labelled("Waiting and working times reported by the gateway", rows, ...parts), counts);
  }

  // Prompts.

  /** Wilson's 95% interval of a share. */
  function interval(failed, finished) {
    const square = 1.96 ** 2;
    const share = failed / finished;
    const middle = share + square / (2 * finished);
    const half = 1.96 * Math.sqrt((share * (1 - share)) / finished + square / 4 / finished ** 2);
    return [(middle - half) / (1 + square / finished), (middle + half) / (1 + square / finished)];
  }

  function shares(rows, description) {
    const x = { type: "quantitative", axis: null, scale: { nice: false, domainMin: 0 } };
    const tooltip = Specs.tooltip(["name", "failed_of_finished", "95% interval", "others"], ["failed", "finished"]);
    return Specs.labelled(description, rows,
      { mark: { color: "@failed", cornerRadius: 2 }, encoding: { x: { field: "share", ...x }, tooltip } },
      { mark: { type: "rule", color: "@text", strokeWidth: 2, yOffset: 0, height: null }, encoding: { x: { field: "low", ...x }, x2: { field: "high" }, y: { field: "row", type: "ordinal", bandPosition: 0.68, axis: null }, tooltip } });
  }

  function terms() {
    if (!Data.terms.length) return null;
    const all = Cube.total();
    const found = Cube.counts("term");
    const rows = Data.terms.flatMap((term, value) => {
      const { failed, finished } = Cube.outcomes(found.get(value) ?? []);
      if (!finished) return [];
      const others = percent(all.failed - failed, all.finished - finished);
      const [low, high] = interval(failed, finished);
      const name = `“${term.text}”`;
      const share = percent(failed, finished);
      return [{ name, label: term.is_sure ? `${name} ●` : name, text: `${share} of ${number(finished)}, others ${others}`,
        share: failed / finished, low, high, failed, finished, others, failed_of_finished: share,
        "95% interval": `${percent(low, 1)} to ${percent(high, 1)}`, pick: { dimension: "term", value } }];
    });
    return rows.length ? one(shares(rows.slice(0, SHOWN), "Share that failed of prompts with a term")) : nothing;
  }

  function families() {
    if (!Data.families.length) return null;
    const rows = Cube.rows("family").map((row) => ({
      ...outcomeRow("family", row),
      text: `${plural(Data.families[row.value].prompts, "prompt")} · ${plural(row.total, "use")}`,
    }));
    return rows.length ? one(Specs.byOutcome("Families of near-duplicate prompts by outcome", rows.slice(0, SHOWN))) : nothing;
  }

  function mostUsed() {
    if (Data.families.length) return null;
    const rows = Cube.rows("prompt").filter((row) => row.total > 1);
    if (!rows.length) return nothing;
    return one(Specs.byOutcome("Most used prompts", rows.slice(0, SHOWN).map((row) => outcomeRow("prompt", row))));
  }

  function mostFailing() {
    if (Data.has_sure_term) return null;
    const rows = Cube.rows("prompt").filter((row) => row.failed).sort((a, b) => b.failed - a.failed);
    if (!rows.length) return nothing;
    const shown = rows.slice(0, SHOWN).map((row) => ({
      name: values.prompt[row.value], label: values.prompt[row.value], count: row.failed,
      text: `${number(row.failed)} of ${number(row.finished)}`, share: percent(row.failed, row.finished),
      pick: { dimension: "prompt", value: row.value, outcome: "failed" },
    }));
    return one(Specs.plain("Most failing prompts", shown, { value: "@failed" }));
  }

  function lengths() {
    const found = new Map(Cube.rows("length").map((row) => [row.value, row]));
    if (!found.size) return nothing;
    const rows = values.length.flatMap((name, value) => {
      const row = found.get(value) ?? { value, ...Cube.outcomes([]) };
      if (!value && !row.total) return [];
      const [low, high] = row.finished ? interval(row.failed, row.finished) : [null, null];
      return [{ ...outcomeRow("length", row), share: row.finished ? row.failed / row.finished : null, low, high,
        likely_between: row.finished ? `${percent(low, 1)} and ${percent(high, 1)}` : "" }];
    });
    const x = { field: "name", type: "ordinal", sort: null, title: "Characters in the prompt", axis: { labelAngle: 0, labelOverlap: "greedy" } };
    const views = [{ label: "Generations", spec: Specs.columns("Generations by prompt length and outcome", rows, x, Specs.OUTCOMES, "Generations", 200, { width: { band: 0.7 } }) }];
    const measured = rows.filter((row) => row.finished);
    if (measured.length) {
      const y = { type: "quantitative", title: "Failed, of finished", axis: { format: "~%", tickCount: 5 } };
      const tooltip = Specs.tooltip(["name", "failed_of_finished", "likely_between"], ["failed", "finished"]);
      views.push({ label: "Share that failed", spec: Specs.chart("Share of finished generations that failed, by prompt length", measured, 200, {
        encoding: { x, tooltip },
        layer: [
          { mark: { type: "rule", strokeWidth: 3, opacity: 0.35, color: "@failed" }, encoding: { y: { field: "low", ...y }, y2: { field: "high" } } },
          { mark: { type: "circle", size: 90, opacity: 1, color: "@failed", cursor: "pointer" }, encoding: { y: { field: "share", ...y } } },
        ],
      }) });
    }
    return { views, remark: "" };
  }

  function durations() {
    const cases = [["Delivered", "delivered"], ["Requested", "requested"]];
    const views = cases.flatMap(([label, dimension]) => {
      const rows = Cube.rows(dimension);
      return rows.length ? [{ label, spec: Specs.plain(`Generations by length of the video: ${label}`, counted(dimension, rows), { value: "@kind-1" }) }] : [];
    });
    return Data.values.delivered?.length || Data.values.requested?.length ? { views, remark: "" } : null;
  }

  function rejects() {
    if (!Data.rejects.length) return nothing;
    const total = Data.rejects.reduce((sum, { count }) => sum + count, 0);
    const rows = Data.rejects.slice(0, SHOWN).map((row, reject) => ({
      name: row.label, label: row.label, reason: row.reason, again: row.again, count: row.count,
      share: percent(row.count, total), text: `${number(row.count)} · ${percent(row.count, total)}`, pick: { reject },
    }));
    const color = Specs.coloured("again", ["by the next run", "only on request"], rows);
    return one(Specs.plain("Rejected task IDs by reason", rows, color, ["reason", "again"]));
  }

  return {
    activity,
    by: () => (Data.by ? byOutcome("by", `Generations by ${Data.by} and outcome`, "value") : null),
    models: () => byOutcome("model", "Generations by model and outcome", "model", modelShare),
    categories: () => plain("category", "Failed generations by kind", "kind", "@failed"),
    reasons,
    sizes,
    formats: () => plain("format", "Generations by aspect ratio", "shape", "@kind-1"),
    durations,
    spread,
    bases,
    hours,
    turnaround_models: byModel,
    stages,
    terms,
    families,
    most_used: mostUsed,
    most_failing: mostFailing,
    lengths,
    rejects,
  };
})();

"use strict";

/**
 * The charts: for each place in the page a function of the filters' counts. It gives views (a label,
 * a chart) and a remark; no views if there is nothing to show, and null if the card is not needed.
 */
const Charts = (() => {
  const { number, percent, plural, day } = Words;
  const { values } = Data;
  const { SHOWN, one, nothing, byOutcome, counted, plain } = Bars;
  const { ALL, filter } = Cube;
  const DAY = 86400;

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
    ...TurnaroundCharts,
    ...PromptCharts,
    activity,
    by: () => (Data.by ? byOutcome("by", `Generations by ${Data.by} and outcome`, "value") : null),
    models: () => byOutcome("model", "Generations by model and outcome", "model", modelShare),
    categories: () => plain("category", "Failed generations by kind", "kind", "@failed"),
    reasons: () => plain("reason", "Failed generations by reason", "reason", "@failed"),
    sizes,
    formats: () => plain("format", "Generations by aspect ratio", "shape", "@kind-1"),
    durations,
    rejects,
  };
})();

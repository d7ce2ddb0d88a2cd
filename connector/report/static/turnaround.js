"use strict";

/** The charts on turnaround: how long generations take. */
const TurnaroundCharts = (() => {
  const { percent, seconds, estimate, plural } = Words;
  const { values } = Data;
  const { one, nothing, counted } = Bars;
  const { ALL, filter } = Cube;

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

  return { spread, turnaround_models: byModel, hours, bases, stages };
})();

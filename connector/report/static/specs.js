"use strict";

/**
 * Pieces of Vega-Lite. A colour `@name` stands for the page's variable `--name`. Texts from outside
 * are only data, never part of a specification. A row's `pick` says which task IDs are behind it.
 */
const Specs = (() => {
  const ROW = 38;
  const OUTCOMES = ["completed", "failed", "unfinished"];
  const STATUSES = ["completed", "failed", "running", "queued", "unknown"];
  const TIME_LABELS =
    "datum.value == 0 ? '0' : datum.value < 60 ? format(datum.value, '~g') + ' s' : datum.value < " +
    "3600 ? format(datum.value / 60, '~g') + ' min' : datum.value < 86400 ? format(datum.value / " +
    "3600, '~g') + ' h' : format(datum.value / 86400, '~g') + ' d'";

  const chart = (description, rows, height, parts) => ({
    description,
    width: "container",
    height,
    autosize: { type: "fit-x", contains: "padding" },
    data: { values: rows },
    ...parts,
  });

  const countAxis = (most) => ({
    labelExpr: "format(datum.value, datum.value < 10000 ? ',' : '~s')",
    ...(most > 5 ? { tickCount: 5 } : { values: [...Array(most + 1).keys()] }),
  });

  const tooltip = (texts, counts = []) => [
    ...texts.map((field) => ({ field, title: field.replaceAll("_", " "), type: "nominal" })),
    ...counts.map((field) => ({ field, title: field, type: "quantitative", format: "," })),
  ];

  const present = (names, rows) => names.filter((name) => rows.some((row) => row[name]));

  /** Bars in parts by status; a click in the legend highlights one. */
  function stacked(statuses) {
    return {
      transform: [
        { fold: statuses, as: ["status", "count"] },
        { calculate: `indexof(${JSON.stringify(statuses)}, datum.status)`, as: "rank" },
      ],
      params: [{ name: "picked", select: { type: "point", fields: ["status"] }, bind: "legend" }],
      encoding: {
        color: {
          field: "status",
          type: "nominal",
          scale: { domain: statuses, range: statuses.map((status) => `@${status}`) },
          legend: { orient: "top", title: null, columns: { expr: "width < 340 ? 3 : 5" } },
        },
        order: { field: "rank" },
        opacity: { condition: { param: "picked", value: 1 }, value: 0.12 },
      },
    };
  }

  /** Bars below their labels, in the order of the rows, so that long labels fit on a phone. */
  function labelled(description, rows, ...bars) {
    const texts = [
      ["label", { align: "left", x: 0, limit: { expr: "max(width - 150, 60)" } }],
      ["text", { align: "right", x: { expr: "width" }, color: "@muted" }],
    ].map(([field, mark]) => ({
      mark: { type: "text", baseline: "middle", dy: -8, ...mark },
      encoding: { text: { field, type: "nominal" } },
    }));
    const marks = bars.map((bar) => ({
      ...bar,
      mark: { type: "bar", height: 10, yOffset: 7, cursor: "pointer", ...bar.mark },
    }));
    const y = { field: "row", type: "ordinal", axis: null, scale: { padding: 0 } };
    const numbered = rows.map((row, index) => ({ row: index, ...row }));
    return chart(description, numbered, ROW * rows.length, {
      encoding: { y },
      layer: [...marks, ...texts],
    });
  }

  const COUNT = { field: "count", type: "quantitative", axis: null, scale: { nice: false } };

  /** Values with a bar in parts by outcome. */
  function byOutcome(description, rows) {
    const statuses = present(OUTCOMES, rows);
    const bars = stacked(statuses);
    bars.encoding.x = COUNT;
    bars.encoding.tooltip = [...tooltip(["name"], [...statuses, "total"]), ...tooltip(["failed_of_finished"])];
    return labelled(description, rows, bars);
  }

  /** Values with a plain bar. */
  function plain(description, rows, color, texts = []) {
    const encoding = {
      x: COUNT,
      color,
      tooltip: [...tooltip(["name"], ["count"]), ...tooltip(["share", ...texts])],
    };
    return labelled(description, rows, { encoding, mark: { cornerRadius: 2 } });
  }

  /** A colour for each of a few names. */
  const coloured = (field, names, rows) => {
    const shown = names.filter((name) => rows.some((row) => row[field] === name));
    return {
      field,
      type: "nominal",
      scale: { domain: shown, range: shown.map((name) => `@kind-${names.indexOf(name) + 1}`) },
      legend: { orient: "top", title: null },
    };
  };

  /** Bars side by side, in parts by status. */
  function columns(description, rows, x, names, title, height, mark) {
    const statuses = present(names, rows);
    const parts = stacked(statuses);
    parts.encoding.x = x;
    parts.encoding.y = {
      field: "count",
      type: "quantitative",
      title,
      axis: countAxis(Math.max(...rows.map((row) => row.total))),
    };
    parts.encoding.tooltip = tooltip(["name"], [...statuses, "total"]);
    return chart(description, rows, height, { mark: { type: "bar", cursor: "pointer", ...mark }, ...parts });
  }

  return { OUTCOMES, STATUSES, TIME_LABELS, chart, tooltip, labelled, byOutcome, plain, coloured, columns };
})();

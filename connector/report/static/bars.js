"use strict";

/** Bars of a dimension's values, the most frequent first: what most charts are made of. */
const Bars = (() => {
  const { number, percent, plural } = Words;
  const { values } = Data;
  const SHOWN = 9;
  const one = (spec, remark = "") => ({ views: [{ label: "", spec }], remark });
  const nothing = { views: [], remark: "" };

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

  return { SHOWN, one, nothing, outcomeRow, byOutcome, counted, plain };
})();

"use strict";

/** The charts on prompts: terms, families, the most used and most failing ones, and lengths. */
const PromptCharts = (() => {
  const { number, percent, plural } = Words;
  const { values } = Data;
  const { SHOWN, one, nothing, outcomeRow } = Bars;

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

  return { terms, families, most_used: mostUsed, most_failing: mostFailing, lengths };
})();

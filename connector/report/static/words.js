"use strict";

/** The page's data, and numbers as people read them; `connector/words.py` has the same rules. */
const Data = JSON.parse(document.getElementById("data").textContent);

const Words = (() => {
  const number = (count) => count.toLocaleString("en");

  function percent(part, whole) {
    if (!whole) return "–";
    const share = part / whole;
    if (share > 0 && share < 0.001) return "<0.1%";
    if (share < 1 && share > 0.999) return ">99.9%";
    return `${(100 * share).toFixed(1)}%`;
  }

  const UNITS = [[60, "s"], [60, "min"], [24, "h"], [Infinity, "d"]];

  function seconds(value) {
    let rest = value;
    for (const [count, unit] of UNITS) {
      const shown = rest < 10 ? Math.round(rest * 10) / 10 : Math.round(rest);
      if (shown < count) return `${number(shown)} ${unit}`;
      rest /= count;
    }
    return "";
  }

  /** An estimate with its 95% band; an upper bound alone says so. */
  function estimate(value, lower, upper) {
    const low = lower >= 0.05 ? seconds(lower) : "";
    if (upper === null) return low ? `at least ${low}` : "not known";
    const band = low ? `${low} – ${seconds(upper)}` : `at most ${seconds(upper)}`;
    return value === null ? band : `about ${seconds(value)} (${band})`;
  }

  const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
  const day = (moment) =>
    moment.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

  return { number, percent, seconds, estimate, plural, day };
})();

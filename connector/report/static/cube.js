"use strict";

/** Counts under the filters: adds up the cells that were worked out before. */
const Cube = (() => {
  const { sizes, cells } = Data.cube;
  const ALL = -1;
  const filter = { period: Data.periods.usual, model: ALL, status: ALL, by: ALL };
  const listeners = [];
  let known = new Map();

  /** What a cell's number stands for. */
  function parts(key) {
    const by = key % sizes.by;
    let rest = (key - by) / sizes.by;
    const status = rest % sizes.statuses;
    rest = (rest - status) / sizes.statuses;
    const model = rest % sizes.models;
    return { by, status, model, age: (rest - model) / sizes.models };
  }

  const passes = ({ age, model, status, by }) =>
    (filter.period === ALL || age <= filter.period) &&
    (filter.model === ALL || model === filter.model) &&
    (filter.status === ALL || status === filter.status) &&
    (filter.by === ALL || by === filter.by);

  /** For each value of a dimension, how many have each status. */
  function counts(dimension) {
    if (known.has(dimension)) return known.get(dimension);
    const found = new Map();
    const [keys, values, numbers] = cells[dimension] ?? [[], [], []];
    keys.forEach((key, index) => {
      const cell = parts(key);
      if (!passes(cell)) return;
      const value = values[index];
      if (!found.has(value)) found.set(value, Data.statuses.map(() => 0));
      found.get(value)[cell.status] += numbers[index];
    });
    known.set(dimension, found);
    return found;
  }

  const COMPLETED = Data.statuses.indexOf("completed");
  const FAILED = Data.statuses.indexOf("failed");

  /** Outcomes of a list of counts by status. */
  function outcomes(of = []) {
    const total = of.reduce((sum, count) => sum + count, 0);
    const completed = of[COMPLETED] ?? 0;
    const failed = of[FAILED] ?? 0;
    return { completed, failed, unfinished: total - completed - failed, total, finished: completed + failed };
  }

  /** Outcomes of each value that has any, most first, and those of rare values last. */
  function rows(dimension) {
    const isRest = ({ value }) => Data.values[dimension]?.[value] === "others";
    return [...counts(dimension)]
      .map(([value, of]) => ({ value, ...outcomes(of), statuses: of }))
      .sort((a, b) => isRest(a) - isRest(b) || b.total - a.total || a.value - b.value);
  }

  const total = () => outcomes(counts("all").get(0));

  function set(name, value) {
    filter[name] = value;
    known = new Map();
    listeners.forEach((listener) => listener());
  }

  return { ALL, filter, passes, counts, rows, outcomes, total, set, onChange: (f) => listeners.push(f) };
})();

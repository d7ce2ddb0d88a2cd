"use strict";

/** The table of prompts: searched by words, sorted by a column, shown in pages. */
const Prompts = (() => {
  const { make, showEmpty } = Elements;
  const PAGE = 25;
  const COLUMNS = ["Prompt", "Uses", "Completed", "Failed", "Unfinished", "Characters", "Last used"];
  const SHORT = ["prompt", "uses", "completed", "failed", "unfinished", "chars", "last"];
  const state = { rows: [], words: [], column: 1, descending: true, shown: PAGE };

  const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

  function matching() {
    const { rows, words, column, descending } = state;
    const found = rows.filter((row) => words.every((word) => row.folded.includes(word)));
    const sign = descending ? -1 : 1;
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    return found.sort((a, b) => sign * compare(a.key[column], b.key[column]) || a.rank - b.rank);
  }

  /** The text as nodes, with search words marked. */
  function marked(text) {
    const lower = text.toLowerCase();
    if (!state.words.length || lower.length !== text.length) return [text];
    const nodes = [];
    let from = 0;
    while (from < text.length) {
      const hits = state.words
        .map((word) => ({ at: lower.indexOf(word, from), length: word.length }))
        .filter(({ at }) => at >= 0);
      if (!hits.length) break;
      const first = hits.reduce((a, b) => (b.at < a.at ? b : a));
      nodes.push(text.slice(from, first.at));
      from = first.at + first.length;
      nodes.push(make("mark", { text: text.slice(first.at, from) }));
    }
    return [...nodes, text.slice(from)];
  }

  function line(row) {
    const [text, ...numbers] = row.cells;
    const prompt = make("div", { className: "text", dir: "auto", title: text, children: marked(text) });
    const cells = numbers.map((value, index) =>
      make("td", {
        text: typeof value === "number" ? value.toLocaleString("en") : (value ?? "–") || "–",
        "data-label": SHORT[index + 1],
      }),
    );
    return make("tr", { children: [make("td", { children: [prompt] }), ...cells] });
  }

  function heading(title, index) {
    const button = make("button", { text: title, type: "button" });
    button.addEventListener("click", () => {
      state.descending = state.column === index ? !state.descending : index > 0;
      state.column = index;
      render();
    });
    const cell = make("th", { scope: "col", children: [button] });
    if (state.column === index) {
      cell.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
    }
    return cell;
  }

  function render() {
    const found = matching();
    const table = document.getElementById("prompt-table");
    table.tHead.rows[0].replaceChildren(...COLUMNS.map(heading));
    table.tBodies[0].replaceChildren(...found.slice(0, state.shown).map(line));
    document.getElementById("more").hidden = found.length <= state.shown;
    const of = state.rows.length.toLocaleString("en");
    document.getElementById("found").textContent = state.words.length
      ? `${found.length.toLocaleString("en")} of ${of} prompts`
      : `${of} prompts`;
  }

  function search(text) {
    state.words = folded(text).split(/\s+/).filter(Boolean);
    state.shown = PAGE;
    render();
  }

  function start(rows) {
    if (!rows.length) {
      showEmpty(document.getElementById("search-card"));
      return;
    }
    state.rows = rows.map((cells, rank) => {
      const text = folded(cells[0]);
      return { cells, rank, folded: text, key: [text, ...cells.slice(1)] };
    });
    document.getElementById("search").addEventListener("input", (event) => search(event.target.value));
    document.getElementById("more").addEventListener("click", () => {
      state.shown += 4 * PAGE;
      render();
    });
    render();
  }

  return { start };
})();

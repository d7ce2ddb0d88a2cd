"use strict";

/** Fills the page from its data. */
(() => {
  const { make, showEmpty } = Elements;

  function about() {
    for (const element of document.querySelectorAll("[data-about]")) {
      element.textContent = Data.about[element.dataset.about];
    }
    document.title = `${Data.about.warehouse}: Dream Machine generations`;
    for (const element of document.querySelectorAll("[data-by]")) element.textContent = Data.by ?? "";
  }

  function sentences(id, list) {
    const element = document.getElementById(id);
    if (!list.length) element.remove();
    element.querySelector("ul").append(...list.map((text) => make("li", { text, dir: "auto" })));
  }

  function figure({ label, value, note, pick }) {
    const children = [
      make("dt", { text: label }),
      make("dd", { className: "value", text: value }),
      make("dd", { className: "note", text: note }),
    ];
    const card = make("dl", { className: "figure", children });
    if (pick) {
      const button = make("button", { text: "Task IDs", type: "button", className: "ids" });
      button.addEventListener("click", () => Tasks.open(pick, label));
      children.at(-1).append(" · ", button);
    }
    return card;
  }

  /** The figures that the filters act on, and the others. */
  function cards() {
    const { number, percent } = Words;
    const { total, completed, failed, finished, unfinished } = Cube.total();
    const pick = (outcome) => ({ dimension: "all", value: 0, outcome });
    const of = finished ? `${number(completed)} of ${number(finished)} finished` : "none finished";
    const share = finished ? `${number(failed)} of ${number(finished)} finished` : "none finished";
    const counted = [
      { label: "Generations", value: number(total), note: total ? "under these filters" : "none yet", pick: total && pick() },
      { label: "Completed", value: percent(completed, finished), note: of, pick: completed && pick("completed") },
      { label: "Failed", value: percent(failed, finished), note: share, pick: failed && pick("failed") },
      { label: "Unfinished", value: number(unfinished), note: "running, queued or unknown", pick: unfinished && pick("unfinished") },
    ];
    document.getElementById("cards").replaceChildren(...[...counted, ...Data.cards].map(figure));
  }

  function choice(name, label, options, chosen) {
    const select = make("select", { "aria-label": label });
    select.append(...options.map(({ value, text }) => make("option", { value, text })));
    select.value = String(chosen);
    select.addEventListener("change", () => Cube.set(name, Number(select.value)));
    return make("label", { children: [make("span", { text: label }), select] });
  }

  function filters() {
    const all = { value: Cube.ALL, text: "All" };
    const named = (list) => [all, ...list.map((text, value) => ({ value, text }))];
    const periods = Data.periods.offered.map(({ value, label }) => ({ value, text: label }));
    const used = Data.statuses.map((text, value) => ({ text, value }));
    const controls = [
      choice("period", "Period", periods, Data.periods.usual),
      choice("model", "Model", named(Data.values.model), Cube.ALL),
      choice("status", "Status", [all, ...used], Cube.ALL),
    ];
    if (Data.by) controls.push(choice("by", Data.by, named(Data.values.by ?? []), Cube.ALL));
    document.getElementById("filters").append(...controls);
  }

  function runs() {
    if (!Data.runs.length) {
      showEmpty(document.getElementById("run-card"));
      return;
    }
    const table = document.getElementById("run-table");
    const counts = Object.keys(Data.runs[0].counts);
    const titles = ["Started (UTC)", "Outcome", ...counts, "took"];
    table.tHead.rows[0].append(
      ...titles.map((title) => make("th", { scope: "col", text: title[0].toUpperCase() + title.slice(1) })),
    );
    table.tBodies[0].append(
      ...Data.runs.map((run) => {
        const started = make("td", { text: run.started });
        if (run.message) started.append(make("span", { className: "note", text: run.message }));
        const outcome = make("span", { className: `outcome ${run.outcome}`, text: run.outcome });
        const numbers = counts.map((name) => make("td", { text: run.counts[name] }));
        const cells = [started, make("td", { children: [outcome] }), ...numbers, make("td", { text: run.took })];
        return make("tr", { children: cells });
      }),
    );
  }

  about();
  filters();
  cards();
  Cube.onChange(cards);
  sentences("facts", Data.facts);
  sentences("stands-out", Data.stands_out);
  document.querySelectorAll("[data-chart]").forEach(Draw.place);
  document.querySelector("[data-remark=prompts]").textContent = Data.prompts.length === Data.prompt_count
    ? `All ${Words.plural(Data.prompt_count, "different prompt")}, of all of the time.`
    : `The ${Words.number(Data.prompts.length)} most used and most failing of ${Words.number(Data.prompt_count)}`
      + " different prompts, of all of the time; the table “prompts” has all of them.";
  Prompts.start(Data.prompts);
  runs();
})();

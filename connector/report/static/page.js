"use strict";

/** Fills the page from its data. */
(() => {
  const { make, bar, showEmpty } = Elements;
  const data = JSON.parse(document.getElementById("data").textContent);

  function about() {
    for (const element of document.querySelectorAll("[data-about]")) {
      element.textContent = data.about[element.dataset.about];
    }
    document.title = `${data.about.warehouse}: Dream Machine generations`;
  }

  function cards() {
    const figures = data.cards.map(({ label, value, note }) =>
      make("dl", {
        className: "figure",
        children: [
          make("dt", { text: label }),
          make("dd", { className: "value", text: value }),
          make("dd", { className: "note", text: note }),
        ],
      }),
    );
    document.getElementById("cards").append(...figures);
  }

  function list(card, items) {
    if (!items.length) {
      showEmpty(card);
      return;
    }
    const rows = items.map(({ text, count, part, note, className = "" }) => {
      const words = make("span", { className: "text", text, dir: "auto", title: text });
      const line = make("div", {
        className: "line",
        children: [words, make("span", { className: "count", text: count })],
      });
      const children = [line, bar(part)];
      if (note) children.push(make("div", { className: "note", text: note }));
      return make("li", { className, children });
    });
    card.append(make("ol", { className: "rows", children: rows }));
  }

  function bases() {
    const items = data.bases.map(({ name, count, share, part, text, is_measured }) => ({
      text: name[0].toUpperCase() + name.slice(1),
      count: `${count} · ${share}`,
      part,
      note: text,
      className: is_measured ? "" : "not",
    }));
    list(document.getElementById("bases"), items);
  }

  function runs() {
    if (!data.runs.length) {
      showEmpty(document.getElementById("run-card"));
      return;
    }
    const table = document.getElementById("run-table");
    const counts = Object.keys(data.runs[0].counts);
    const titles = ["Started (UTC)", "Outcome", ...counts, "took"];
    table.tHead.rows[0].append(
      ...titles.map((title) => make("th", { scope: "col", text: title[0].toUpperCase() + title.slice(1) })),
    );
    table.tBodies[0].append(
      ...data.runs.map((run) => {
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
  cards();
  // Omit these if the gateway never reports their data.
  for (const card of document.querySelectorAll("[data-optional]")) {
    if (!data.charts[card.dataset.chart].length) card.remove();
  }
  for (const card of document.querySelectorAll("[data-chart]")) {
    Charts.place(card, data.charts[card.dataset.chart], data.remarks[card.dataset.chart]);
  }
  for (const card of document.querySelectorAll("[data-list]")) {
    list(card, data[card.dataset.list]);
  }
  for (const element of document.querySelectorAll("[data-remark]")) {
    element.textContent = data.remarks[element.dataset.remark] ?? "";
  }
  bases();
  Prompts.start(data.prompts);
  runs();
})();

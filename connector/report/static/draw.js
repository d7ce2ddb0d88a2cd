"use strict";

/** Draws Vega-Lite charts in the colours of the page, one after the other, and again on a change. */
const Draw = (() => {
  const { make } = Elements;
  const tooltip = document.getElementById("tooltip");

  /** Replace `@name` by colours, except in the data. */
  function coloured(value) {
    if (typeof value === "string") return value.startsWith("@") ? Theme.colour(value.slice(1)) : value;
    if (Array.isArray(value)) return value.map(coloured);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, part]) => [key, key === "data" ? part : coloured(part)]),
    );
  }

  function config() {
    const font = getComputedStyle(document.body).fontFamily;
    return coloured({
      background: "transparent",
      font,
      padding: 0,
      view: { stroke: null },
      text: { color: "@text", font, fontSize: 13 },
      axis: {
        domainColor: "@line",
        gridColor: "@grid",
        labelColor: "@muted",
        labelFontSize: 12,
        labelPadding: 6,
        ticks: false,
        titleColor: "@muted",
        titleFontSize: 12,
        titleFontWeight: "normal",
        titlePadding: 10,
      },
      axisY: { domain: false },
      legend: {
        labelColor: "@text",
        labelFontSize: 13,
        titleColor: "@muted",
        titleFontSize: 13,
        titleFontWeight: "normal",
        symbolType: "circle",
        symbolSize: 90,
        symbolStrokeWidth: 0,
        columnPadding: 16,
        padding: 0,
        offset: 14,
      },
      bar: { stroke: "@surface", strokeWidth: 0.5 },
    });
  }

  function tell(_handler, event, _item, value) {
    if (value === null || value === undefined || value === "") {
      tooltip.hidden = true;
      return;
    }
    const { name, ...rest } = value;
    tooltip.replaceChildren(
      make("b", { text: name }),
      ...Object.entries(rest).map(([title, text]) =>
        make("div", { children: [make("span", { text: title }), make("span", { text })] }),
      ),
    );
    tooltip.hidden = false;
    const { width, height } = tooltip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, innerWidth - width - 12);
    const above = event.clientY - height - 14;
    tooltip.style.left = `${Math.max(12, left)}px`;
    tooltip.style.top = `${above > 8 ? above : event.clientY + 18}px`;
  }

  /** What is behind a mark: its own value, and its part of a stacked bar. */
  function clicked(_event, item) {
    const pick = item?.datum?.pick;
    if (!pick) return;
    tooltip.hidden = true;
    if (pick.reject !== undefined) {
      Tasks.openRejects(Data.rejects[pick.reject]);
      return;
    }
    const outcome = pick.outcome ?? (item.mark.marktype === "rect" ? item.datum.status : undefined);
    Tasks.open({ ...pick, outcome }, [item.datum.name, outcome].filter(Boolean).join(", "));
  }

  async function embed(chart) {
    chart.view?.finalize();
    chart.view = null;
    const { views, remark } = Charts[chart.card.dataset.chart]() ?? { views: [], remark: "" };
    chart.shown = Math.min(chart.shown, Math.max(views.length - 1, 0));
    chart.remark.textContent = remark;
    chart.tabs.replaceChildren(...(views.length > 1 ? tabs(chart, views) : []));
    if (!views.length) {
      chart.element.replaceChildren(make("p", { className: "empty", text: chart.card.dataset.empty ?? "None under these filters." }));
      return;
    }
    const { view } = await vegaEmbed(chart.element, coloured(views[chart.shown].spec), {
      mode: "vega-lite",
      actions: false,
      ast: true, // interpret expressions: the page's policy forbids `eval`
      config: config(),
      defaultStyle: false,
      renderer: "svg",
      tooltip: tell,
    });
    view.addEventListener("click", clicked);
    chart.view = view;
  }

  /** Draw or redraw a chart; drawings wait for each other, so that the page stays alive. */
  function draw(chart) {
    queue = queue.then(() => embed(chart)).then(() => new Promise((done) => setTimeout(done)));
  }

  function tabs(chart, views) {
    return views.map(({ label }, index) => {
      const button = make("button", { text: label, type: "button", "aria-pressed": index === chart.shown });
      button.addEventListener("click", () => {
        chart.shown = index;
        draw(chart);
      });
      return button;
    });
  }

  /** Fill a card with its chart; a card that is not needed goes. */
  function place(card) {
    const found = Charts[card.dataset.chart]();
    if (found === null) {
      card.remove();
      return;
    }
    const chart = {
      card,
      element: make("div", { className: "chart" }),
      tabs: make("div", { className: "tabs", role: "group" }),
      remark: make("p", { className: "remark" }),
      shown: 0,
      view: null,
    };
    card.append(chart.tabs, chart.element, chart.remark);
    charts.push(chart);
    draw(chart);
  }

  const charts = [];
  let queue = Promise.resolve();

  const redraw = () => charts.forEach(draw);
  Theme.onChange(redraw);
  Cube.onChange(redraw);
  addEventListener("scroll", () => (tooltip.hidden = true), { passive: true });

  return { place, done: () => queue };
})();

"use strict";

/** Draws Vega-Lite charts in the colours of the page, once they are near the screen. */
const Charts = (() => {
  const { make, showEmpty } = Elements;
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

  async function embed(chart) {
    chart.view?.finalize();
    const { view } = await vegaEmbed(chart.element, coloured(chart.views[chart.shown].spec), {
      mode: "vega-lite",
      actions: false,
      ast: true, // interpret expressions: the page's policy forbids `eval`
      config: config(),
      defaultStyle: false,
      renderer: "svg",
      tooltip: tell,
    });
    chart.view = view;
  }

  /** Draw or redraw a chart; drawings of the same chart wait for each other. */
  function draw(chart) {
    near.unobserve(chart.card);
    chart.isDrawn = true;
    chart.done = chart.done.then(() => embed(chart));
  }

  function tabs(chart) {
    const buttons = chart.views.map(({ label }, index) => {
      const button = make("button", { text: label, type: "button" });
      button.addEventListener("click", () => {
        chart.shown = index;
        mark();
        draw(chart);
      });
      return button;
    });
    const mark = () =>
      buttons.forEach((button, index) => button.setAttribute("aria-pressed", index === chart.shown));
    mark();
    return make("div", { className: "tabs", role: "group", children: buttons });
  }

  /** Prepare a card for its chart, which is drawn once it is near the screen. */
  function place(card, views, remark) {
    if (!views?.length) {
      showEmpty(card);
      return;
    }
    const element = make("div", { className: "chart" });
    const chart = { card, views, element, shown: 0, view: null, isDrawn: false, done: Promise.resolve() };
    if (views.length > 1) card.append(tabs(chart));
    card.append(element);
    if (remark) card.append(make("p", { className: "remark", text: remark }));
    charts.set(card, chart);
    near.observe(card);
  }

  const charts = new Map();
  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting) draw(charts.get(target));
      }
    },
    { rootMargin: "400px" },
  );

  const redraw = (isWanted) => [...charts.values()].filter(isWanted).forEach(draw);
  Theme.onChange(() => redraw((chart) => chart.isDrawn));
  addEventListener("beforeprint", () => redraw((chart) => !chart.isDrawn));
  addEventListener("scroll", () => (tooltip.hidden = true), { passive: true });

  return { place };
})();

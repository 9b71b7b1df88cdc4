"use strict";
// Draws the charts in the colours of the page: once, when the system turns light or dark, and for paper.
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const hover = JSON.parse(document.getElementById("hover").textContent);
  const config = { responsive: true, displayModeBar: false };

  const painted = (value, style) => {
    if (typeof value === "string") return value[0] === "@" ? style.getPropertyValue("--" + value.slice(1)).trim() : value;
    if (Array.isArray(value)) return value.map((item) => painted(item, style));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, painted(item, style)]));
  };

  // Only the style of a trace is painted: its points and names are the study's.
  const STYLED = ["line", "marker", "colorscale"];
  const trace = (given, style) => {
    const made = { ...given };
    for (const key of STYLED) if (key in made) made[key] = painted(made[key], style);
    if (Array.isArray(made.meta)) {
      made.text = made.meta.map((number) => hover[number]);
      made.hovertemplate = "%{text}<extra></extra>";
    }
    return made;
  };

  const root = document.documentElement;
  const draw = () => {
    const style = getComputedStyle(root);
    const onPaper = root.classList.contains("paper");
    for (const [id, chart] of Object.entries(charts)) {
      const layout = painted(chart.layout, style);
      // Paper does not wait for a chart that follows its place, so its width is said.
      if (onPaper) {
        layout.width = document.getElementById(id).clientWidth;
        layout.height *= 0.75;
      }
      Plotly.react(id, chart.data.map((given) => trace(given, style)), layout, config);
    }
  };

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  const paper = (printing) => {
    root.classList.toggle("paper", printing);
    draw();
  };
  addEventListener("beforeprint", () => paper(true));
  addEventListener("afterprint", () => paper(false));
})();

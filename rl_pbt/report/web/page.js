"use strict";
(async () => {
  const page = document.documentElement;
  const drawn = new Map(); // name of a block -> views of its figures
  const touch = matchMedia("(pointer: coarse)").matches;
  const views = () => [...drawn.values()].flat();

  const repaint = () => {
    for (const view of views()) view.request_repaint();
  };

  // Write a million as 1M, as everywhere else in a report; Bokeh writes 1m. A custom formatter would need code in the data.
  const readable = (count) => {
    const [size, letter] = [[1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([least]) => Math.abs(count) >= least) ?? [1, ""];
    return Number((count / size).toPrecision(3)) + letter;
  };
  Bokeh.Models.get("NumeralTickFormatter").prototype.doFormat = (ticks) => ticks.map(readable);

  const draw = async (data) => {
    const name = data.dataset.block;
    if (drawn.has(name)) return;
    drawn.set(name, []);
    const { document: figures, roots } = JSON.parse(data.textContent);
    const item = { docid: name, roots, root_ids: Object.keys(roots) };
    const [found] = await Bokeh.embed.embed_items({ [name]: figures }, [item]);
    drawn.set(name, item.root_ids.map((id) => found.get_by_id(id)));
    if (!touch) return;
    for (const view of drawn.get(name)) {
      for (const tool of view.model.toolbar.tools) if (tool.type === "PanTool") tool.active = false; // a finger moves the page
    }
  };

  // A tap shows the same tooltip as hovering, until the next tap.
  for (const place of document.querySelectorAll(".figure")) {
    place.addEventListener("pointerout", (event) => event.pointerType === "touch" && event.stopPropagation(), true);
    place.addEventListener("click", (event) => {
      if (event.pointerType !== "touch") return;
      const { clientX, clientY } = event;
      const moved = { view: window, clientX, clientY, isPrimary: true, pointerType: "mouse", bubbles: true, composed: true };
      event.composedPath()[0].dispatchEvent(new PointerEvent("pointermove", moved));
    });
  }

  // Folded parts are drawn when they are opened.
  const folded = (data) => data.closest("details:not([open])") !== null;
  const drawOpen = async () => {
    for (const data of document.querySelectorAll("script[data-block]")) if (!folded(data)) await draw(data);
  };

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const themed = () => page.dataset.theme ?? (dark.matches ? "dark" : "light");
  document.getElementById("theme").addEventListener("click", () => {
    page.dataset.theme = themed() === "dark" ? "light" : "dark";
    repaint();
  });
  dark.addEventListener("change", repaint);

  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      const section = button.closest("section"); // another group of runs may have the same names
      const near = views().filter((view) => section.contains(view.el));
      for (const renderer of near.flatMap((view) => view.model.renderers)) {
        if (renderer.tags.includes(button.dataset.series)) renderer.visible = shown;
      }
    });
  }

  // Print in the light theme, since paper is white.
  let before;
  addEventListener("beforeprint", () => {
    before = page.dataset.theme;
    page.dataset.theme = "light";
    repaint();
  });
  addEventListener("afterprint", () => {
    if (before === undefined) delete page.dataset.theme;
    else page.dataset.theme = before;
    repaint();
  });

  for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", drawOpen);
  await drawOpen();
  page.dataset.drawn = "all";
})();

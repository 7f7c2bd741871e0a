// JupyterLab loads this as an extension that has a style and nothing else: no package, no build.
const rules = `
  .jp-RenderedHTMLCommon { word-break: keep-all; overflow-wrap: break-word; }
`;

window._JUPYTERLAB = window._JUPYTERLAB || {};
window._JUPYTERLAB["course-type"] = {
  init: () => {},
  get: () => () => {
    const style = document.createElement("style");
    style.textContent = rules;
    document.head.append(style);
    return {};
  },
};

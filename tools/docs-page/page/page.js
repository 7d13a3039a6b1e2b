// Shows this service's own contract. Nothing is fetched from anywhere else: no validator, no fonts.
"use strict";

window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  onComplete: () => {
    const title = window.ui.specSelectors.info().get("title");
    document.title = title;
    document.getElementById("title").textContent = title;
  },
});

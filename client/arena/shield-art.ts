const drawing = `
<svg class="shield-art" viewBox="0 0 120 160" aria-hidden="true">
  <path class="shield-body" d="M15 13Q60 1 105 13Q115 80 105 147Q60 159 15 147Q5 80 15 13Z"/>
  <path class="shield-shine" d="M15 13Q60 1 105 13Q115 80 105 147Q60 159 15 147Q5 80 15 13Z"/>
  <path class="shield-line" d="M23 21Q60 11 97 21Q105 80 97 139Q60 149 23 139Q15 80 23 21Z"/>
  <g class="shield-gilding">
    <path d="M60 20v32M60 108v32M20 80h16M84 80h16"/>
    <path d="M42 60L28 46l9-2-11-13 19 13-8 2 13 10M78 60l14-14-9-2 11-13-19 13 8 2-13 10M42 100l-14 14 9 2-11 13 19-13-8-2 13-10M78 100l14 14-9 2 11 13-19-13 8-2-13-10"/>
  </g>
  <circle class="shield-rim" cx="60" cy="80" r="26"/>
  <circle class="shield-boss" cx="60" cy="80" r="20"/>
  <text class="shield-numeral" x="60" y="88" text-anchor="middle"></text>
  <path class="shield-crack" d="M70 6l-9 27 12 17-20 22 15 19-13 21 9 17-6 22"/>
</svg>`;

/** The gradients that all shields share: once in a page. */
export const shieldGradients = `
<svg width="0" height="0" class="shield-gradients" aria-hidden="true"><defs>
  <linearGradient id="shield-red" x1="0" x2="1"><stop offset="0" stop-color="#591510"/><stop offset=".32" stop-color="#a8332a"/><stop offset=".55" stop-color="#b93f33"/><stop offset="1" stop-color="#4c120e"/></linearGradient>
  <linearGradient id="shield-light" x1="0" y1="0" x2=".9" y2="1"><stop offset="0" stop-color="#fff" stop-opacity=".22"/><stop offset=".4" stop-color="#fff" stop-opacity="0"/><stop offset="1" stop-color="#000" stop-opacity=".35"/></linearGradient>
  <radialGradient id="shield-gold" cx=".36" cy=".3"><stop offset="0" stop-color="#fff0c2"/><stop offset=".45" stop-color="#d9a956"/><stop offset="1" stop-color="#6d4a1d"/></radialGradient>
</defs></svg>`;

/** A Roman shield with a numeral on its boss. */
export function newShieldArt(numeral: string): SVGElement {
  const template = document.createElement("template");
  template.innerHTML = drawing.trim();
  const art = template.content.firstElementChild as SVGElement;
  const text = art.querySelector("text");
  if (text !== null) text.textContent = numeral;
  return art;
}

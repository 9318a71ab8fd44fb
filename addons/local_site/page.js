// Keeps the figures fresh, and sends the form that changes the mode. All HTML is made by the proxy, which escapes it.
"use strict";

const EVERY_MS = 4000;

const element = (id) => document.getElementById(id);
let shown = null;

async function get(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) {
    throw new Error(`${path}: ${answer.status}`);
  }
  return answer.text();
}

async function refresh() {
  try {
    // The chart moves on by the minute, also where nothing happens.
    const figures = (await get("/api/stats")) + Math.floor(Date.now() / 60000);
    if (figures !== shown) {
      const page = new DOMParser().parseFromString(await get("/"), "text/html");
      for (const old of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(old.id);
        if (fresh && fresh.innerHTML !== old.innerHTML) {
          old.replaceChildren(...fresh.childNodes);
        }
      }
      shown = figures;
    }
    element("contact").textContent = "";
  } catch {
    element("contact").textContent = "The proxy does not answer: these figures are old.";
  }
}

async function changeMode(event) {
  event.preventDefault();
  const says = element("mode-says");
  const token = element("token");
  says.textContent = "…";
  try {
    const answer = await fetch("/api/mode", {
      method: "POST",
      headers: { Authorization: `Bearer ${token.value.trim()}`, "Content-Type": "application/json" },
      body: JSON.stringify({ mode: element("mode").value, now: element("now").checked }),
    });
    says.textContent = answer.ok ? (await answer.json()).message : (await answer.text()).trim();
    if (answer.ok) {
      token.value = "";
    }
  } catch {
    says.textContent = "The proxy could not be asked.";
  }
  await refresh();
}

element("mode-form").hidden = false;
element("mode-form").addEventListener("submit", changeMode);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(() => document.hidden || refresh(), EVERY_MS);

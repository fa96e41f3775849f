// The temperature as a slider with a logarithmic scale and as a number field, which are kept equal.

import { byId, setError } from "./elements.js";

const LOWEST = 0.005;
const HIGHEST = 1;
const STEPS = 1000;

/** τ of a place on the slider. */
function temperatureAt(step) {
  return Number((LOWEST * (HIGHEST / LOWEST) ** (step / STEPS)).toPrecision(3));
}

function stepOf(temperature) {
  return Math.round((STEPS * Math.log(temperature / LOWEST)) / Math.log(HIGHEST / LOWEST));
}

/**
 * Joins the two controls; `onChange(τ)` is called for every valid change.
 * @returns {{value: function(): number, set: function(number)}} the current τ; `set` changes it without `onChange`
 */
export function temperatureControl(onChange) {
  const slider = byId("tau-slider");
  const field = byId("tau");
  let current = LOWEST;

  function show(temperature) {
    current = temperature;
    field.value = String(temperature);
    slider.value = String(stepOf(temperature));
    slider.setAttribute("aria-valuetext", String(temperature));
    setError("tau-error", null, field);
  }
  function take(temperature) {
    current = temperature;
    slider.setAttribute("aria-valuetext", String(temperature));
    setError("tau-error", null, field);
    onChange(temperature);
  }
  slider.addEventListener("input", () => {
    const temperature = temperatureAt(Number(slider.value));
    field.value = String(temperature);
    take(temperature);
  });
  field.addEventListener("input", () => {
    const temperature = field.valueAsNumber;
    if (!(temperature >= LOWEST && temperature <= HIGHEST)) {
      setError("tau-error", `τ is a number from ${LOWEST} to ${HIGHEST}; the results are still those of ${current}.`, field);
      return;
    }
    slider.value = String(stepOf(temperature));
    take(temperature);
  });
  // When a browser reloads the page it keeps the content of the field, which may be no temperature.
  const kept = field.valueAsNumber;
  show(kept >= LOWEST && kept <= HIGHEST ? kept : Number(field.defaultValue));
  return { value: () => current, set: show };
}

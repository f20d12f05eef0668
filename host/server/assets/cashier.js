// What the cashier's pages do by themselves. Each of them works without it.
(() => {
  "use strict";

  // The form that leads on to the provider. A field may be called "submit", so the method is not looked up on the form.
  const leading = document.querySelector("form[data-auto]");
  if (leading) {
    HTMLFormElement.prototype.submit.call(leading);
    return;
  }

  for (const time of document.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) {
      time.textContent = moment.toLocaleString();
    }
  }

  // A second press would only be refused, but it would also frighten.
  for (const form of document.forms) {
    form.addEventListener("submit", () => {
      for (const button of form.querySelectorAll("button")) {
        button.disabled = true;
      }
    });
  }
  window.addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("button")) {
      button.disabled = false;
    }
  });

  const { status, state } = document.body.dataset;
  if (!status) {
    return;
  }
  let pause = 1500;
  const ask = async () => {
    try {
      const answer = await fetch(status, { cache: "no-store", referrerPolicy: "no-referrer" });
      if (answer.ok && (await answer.json()).state !== state) {
        location.replace(location.pathname);
        return;
      }
    } catch {
      // Away for a moment: the next question will tell.
    }
    pause = Math.min(pause * 1.15, 10000);
    setTimeout(ask, pause);
  };
  setTimeout(ask, pause);
})();

// Settings of htmx that the console's Content-Security-Policy needs: no styles of its own, no evaluated code.
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
htmx.config.selfRequestsOnly = true;
// Refusals are shown, like any other page.
htmx.config.responseHandling = [{ code: "204", swap: false }, { code: "...", swap: true }];

// Settings of htmx that the console's Content-Security-Policy needs: no styles of its own, no evaluated code.
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
htmx.config.selfRequestsOnly = true;

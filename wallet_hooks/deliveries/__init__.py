"""Every callback as it came, with the answer that it got."""

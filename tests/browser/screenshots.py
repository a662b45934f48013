"""Makes the pictures of docs/images from a service with demo data. Needs Chromium. Run by `make screenshots`."""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM, visiting
from tests.browser.data import fill
from tests.console.staff import add_staff
from tests.service import served
from tests.world import World
from wallet_hooks.database.migrating import upgrade

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
PAGES = {
    "console-overview": "/console/",
    "console-wager": "/console/wagers/acme/betflex/3",
    "console-customer": "/console/customers/acme/7",
    "console-delivery": "/console/deliveries?outcome=refused",
}
SIZE = {"width": 1280, "height": 860}


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        url = f"sqlite:///{directory}/console.db"
        world = World(url)
        upgrade(world.engine)
        world.brand()
        world.provider()
        world.customer()
        fill(world)
        add_staff(world, "operations", "maria")
        world.close()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with (
            served(url, Path(directory)) as (address, _),
            visiting(browser, address, "maria", viewport=SIZE) as visitor,
        ):
            for name, path in PAGES.items():
                page = visitor.open(path)
                if name == "console-delivery":
                    page.locator("tbody th a").first.click()
                    page.get_by_role("button", name="What would we answer now?").click()
                    page.get_by_text("would be answered").wait_for(timeout=60_000)
                page.screenshot(path=IMAGES / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()

"""After a change of champions: the model store shows at once how each version stands, for people who look there."""

from registry.projection import project_story
from tasks.site import Site
from tasks.telling import log
from validation.errors import AndonError


def show_standing(site: Site) -> None:
    """Tags and story in the model store, by the ledger. One that does not answer is no error: the sweep shows it."""
    try:
        project_story(site.ledger, site.store, site.name)
    except AndonError as error:
        log.warning("%s: the model store does not show the change yet: %s", site.name, error)

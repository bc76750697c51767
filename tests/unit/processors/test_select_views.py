"""What select makes of the catalogue, and that it makes it again only when it must."""

from dataclasses import replace

from processors.selecting.world import Views
from schemas.catalogue import Catalogue
from schemas.registrations import PolicySelected
from streams.bench.installation import T0, application, applied, node

SERVICE, *_, CONTRACT, APP = application(7)


def test_a_view_is_made_again_only_when_what_it_rests_on_changes():
    views, catalogue = Views(), applied(Catalogue(), [*application(7), *application(8)])
    first = views.of(APP.app, catalogue, T0)
    elsewhere = applied(catalogue, [*application(9), node(1)])
    assert views.of(APP.app, elsewhere, T0 + 1) is first
    changed = applied(elsewhere, [replace(SERVICE, accuracy=0.1)])
    second = views.of(APP.app, changed, T0 + 1)
    assert second.signature != first.signature
    assert second.services[0].accuracy == 0.1


def test_a_contract_counts_while_it_is_valid():
    views = Views()
    catalogue = applied(Catalogue(), [*application(7), replace(CONTRACT, valid_until=T0 + 10)])
    assert views.of(APP.app, catalogue, T0 + 9).contract == CONTRACT.contract
    assert views.of(APP.app, catalogue, T0 + 10).contract == ""


def test_a_policy_of_the_application_goes_before_that_of_all():
    views, catalogue = Views(), applied(Catalogue(), list(application(7)))
    assert views.of(APP.app, catalogue, T0).mode == "act"
    for scope, mode in (("select", "recommend"), (f"select/{APP.app}", "observe")):
        policy = PolicySelected(
            scope=scope,
            component="select",
            algorithm="exact",
            mode=mode,
            selected_at=T0,
            event_id=scope,
        )
        catalogue = applied(catalogue, [policy])
        assert views.of(APP.app, catalogue, T0).mode == mode


def test_an_application_that_is_gone_has_no_view():
    views, catalogue = Views(), applied(Catalogue(), list(application(7)))
    assert views.of(APP.app, catalogue, T0) is not None
    assert views.of(APP.app, Catalogue(), T0) is None

from __future__ import annotations

import pytest

from zooter_core import backends
from zooter_core.data import formats
from zooter_core.errors import ZooterError
from zooter_core.labelling import rewards, taggers
from zooter_core.plugins import load_kind
from zooter_core.router import kinds

FAMILIES = {
    "backend": backends.KINDS,
    "router": kinds.KINDS,
    "reward": rewards.KINDS,
    "tagger": taggers.KINDS,
    "import": formats.KINDS,
}


@pytest.mark.parametrize(("family", "name"), [(family, name) for family, kinds in FAMILIES.items() for name in kinds])
def test_every_kind_is_where_its_table_says(family, name):
    assert callable(load_kind(family, FAMILIES[family], name))


def test_unknown_kind_names_the_nearest():
    with pytest.raises(ZooterError) as caught:
        load_kind("reward", {"scalar": "a:B", "judge": "c:D"}, "juge")
    assert str(caught.value) == 'Expected a known reward kind, but found "juge". Did you mean "judge"?'

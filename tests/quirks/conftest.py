"""The fixtures of the tests here: a store, and a message centre that is heard."""

from tests.house import open_house as open_house
from tests.quirks.centre import open_centre as open_centre

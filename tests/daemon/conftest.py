"""The store of the tests here that need no whole daemon."""

from tests.house import open_house as open_house

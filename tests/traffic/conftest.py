"""The fixture of every test here that has a store."""

from tests.house import open_house as open_house

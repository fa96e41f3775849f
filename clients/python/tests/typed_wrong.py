"""Calls that type checkers must refuse, one per line that begins with `client.`."""

from nearfar import AsyncClient, Client


def blocking(client: Client) -> None:
    client.embed("near", dimensions="4")
    client.embed()
    client.embed("near", dim=4)
    client.points(page_size="3")
    client.update_metadata(["a"], [{}], mode="add")
    client.neighbors("near", include=["score"])
    client.embed("near").nothing


async def awaiting(client: AsyncClient) -> None:
    client.embed("near").shape
    client.embed(3)

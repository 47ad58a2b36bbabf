"""Keys and values that a decoder keeps: further ones are written behind them, and no two texts share theirs."""

import torch

from experiments.batches import KeyValues


def token(number: float, rows: int = 2, size: int = 3) -> torch.Tensor:
    return torch.full((rows, 1, 1, size), number)


def numbers(past: KeyValues) -> list[list[float]]:
    assert torch.equal(past.key, -past.value)
    return past.key[:, 0, :, 0].tolist()


def after(past: KeyValues, number: float) -> KeyValues:
    following = token(number, len(past.key), past.key.shape[3])
    return past.and_then(following, -following)


def test_further_tokens_are_written_in_place_and_branches_apart() -> None:
    first = KeyValues(token(1.0), -token(1.0))
    long = after(after(first, 2.0), 3.0)
    longer = after(long, 4.0)
    assert longer.key.data_ptr() == long.key.data_ptr()  # no copy of those before
    other = after(long, 5.0)  # the same state goes on twice
    assert numbers(longer) == [[1.0, 2.0, 3.0, 4.0]] * 2 and numbers(other) == [[1.0, 2.0, 3.0, 5.0]] * 2
    assert numbers(long) == [[1.0, 2.0, 3.0]] * 2 and numbers(first) == [[1.0]] * 2


def test_some_rows_go_on_apart_from_the_others() -> None:
    both = after(KeyValues(torch.tensor([[[[1.0]]], [[[2.0]]]]), -torch.tensor([[[[1.0]]], [[[2.0]]]])), 3.0)
    second = both[torch.tensor([1, 1, 0])]
    assert numbers(after(second, 4.0)) == [[2.0, 3.0, 4.0], [2.0, 3.0, 4.0], [1.0, 3.0, 4.0]]
    assert numbers(after(both, 5.0)) == [[1.0, 3.0, 5.0], [2.0, 3.0, 5.0]]


def test_there_is_room_for_any_number_of_tokens() -> None:
    past = KeyValues(token(0.0), -token(0.0))
    for number in range(1, 150):
        past = after(past, float(number))
    assert numbers(past) == [[float(number) for number in range(150)]] * 2

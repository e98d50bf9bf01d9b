"""Layers that are compiled, exported, transformed or run a second time."""

import io

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from knngraph.torch import ConvNN2d
from tests.torch.helpers import KINDS, SAMPLES, gradients


@pytest.mark.parametrize("options", [*KINDS[:3], KINDS[4]], ids=str)
def test_compiled_with_dynamic_sizes(numbers, device, options):
    torch._dynamo.reset()
    layer = ConvNN2d(4, 3, 5, **options, device=device)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    for size in ((2, 4, 6, 5), (3, 4, 5, 9)):
        x = numbers(*size)
        torch.testing.assert_close(gradients(compiled, x), gradients(layer, x))


@pytest.mark.parametrize("options", SAMPLES, ids=str)
def test_samples_are_compiled(numbers, device, options):
    torch._dynamo.reset()
    layer = ConvNN2d(4, 3, 5, **options, device=device)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    x = numbers(2, 4, 6, 5)
    torch.manual_seed(3)
    y = compiled(x)
    torch.manual_seed(3)
    torch.testing.assert_close(y, layer(x))


@pytest.mark.parametrize(
    "options", [*KINDS[1:3], KINDS[5], *SAMPLES, {"stride": 2, "bias": False}], ids=str
)
def test_exported_graphs_need_no_package(numbers, device, options):
    layer = ConvNN2d(4, 3, 5, **options, device=device).eval()
    sizes = {
        0: torch.export.Dim("batch"),
        2: torch.export.Dim("height", min=3),
        3: torch.export.Dim("width", min=3),
    }
    exported = torch.export.export(
        layer, (numbers(2, 4, 6, 5),), dynamic_shapes={"x": sizes}
    )
    if hasattr(torch.compiler, "is_exporting"):
        assert "knngraph" not in str(exported.graph)
    held = io.BytesIO()
    torch.export.save(exported, held)
    held.seek(0)
    again = torch.export.load(held).module()
    for size in ((3, 4, 9, 7), (2, 4, 4, 12)):
        x = numbers(*size)
        torch.testing.assert_close(again(x), layer(x), rtol=0, atol=2e-6)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_repeat_the_draw(numbers, device, reentrant):
    layer = ConvNN2d(4, 6, 5, candidates="random", n_candidates=6, device=device)
    x = numbers(2, 4, 8, 8).requires_grad_()
    torch.manual_seed(5)
    layer(x).square().sum().backward()
    expected = x.grad.clone(), layer.weight.grad.clone()
    x.grad = layer.weight.grad = None
    torch.manual_seed(5)
    checkpoint(layer, x, use_reentrant=reentrant).square().sum().backward()
    torch.testing.assert_close((x.grad, layer.weight.grad), expected)


def test_functions_are_transformed(numbers, device):
    layer = ConvNN2d(4, 6, 5, device=device)
    x = numbers(3, 4, 6, 7)
    torch.testing.assert_close(torch.vmap(layer)(x), layer(x))
    parameters = {name: p.detach() for name, p in layer.named_parameters()}

    def loss(parameters, image):
        return torch.func.functional_call(layer, parameters, (image,)).square().sum()

    per_image = torch.vmap(torch.func.grad(loss), (None, 0))(parameters, x)
    layer(x).square().sum().backward()
    torch.testing.assert_close(per_image["weight"].sum(0), layer.weight.grad)


# Of torch about itself.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
def test_one_layer_by_the_compiler_of_the_machine(numbers, device):
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler

        get_cpp_compiler()
    except Exception:
        pytest.skip("no compiler for C++")
    torch._dynamo.reset()
    layer = ConvNN2d(4, 3, 5, compare="hybrid", device=device)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    x = numbers(2, 4, 6, 5)
    torch.testing.assert_close(compiled(x), layer(x))

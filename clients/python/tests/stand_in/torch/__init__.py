"""The part of PyTorch that nearfar.torch uses, implemented with numpy: tensors, and custom functions with a first derivative."""

import numpy as np

float16, float32, float64 = (np.dtype(name) for name in ("f2", "f4", "f8"))
int64 = np.dtype("i8")


class Tensor:
    device = "cpu"

    def __init__(self, values, dtype=None, requires_grad=False):
        self._values = np.asarray(values, dtype)
        self.requires_grad = requires_grad
        self.grad = None
        self._node = None

    dtype = property(lambda self: self._values.dtype)
    shape = property(lambda self: self._values.shape)

    def numpy(self):
        return self._values

    def detach(self):
        return Tensor(self._values)

    cpu = detach

    def item(self):
        return self._values.item()

    def is_floating_point(self):
        return self.dtype.kind == "f"

    def float(self):
        return Tensor(self._values, float32)

    def reshape(self, shape):
        return Tensor(self._values.reshape(shape))

    def to(self, target):
        return self if isinstance(target, str) else Tensor(self._values, target)

    def __mul__(self, other):
        # As in PyTorch, a scalar does not change the dtype of a tensor.
        return Tensor(self._values * other._values.astype(self.dtype))

    def backward(self, gradient=None):
        context, function, inputs = self._node
        gradients = function.backward(context, Tensor(1.0, self.dtype) if gradient is None else gradient)
        assert len(gradients) == len(inputs)
        for entry, found, wanted in zip(inputs, gradients, context.needs_input_grad):
            if found is None:
                continue
            assert wanted and found.shape == entry.shape and found.dtype == entry.dtype
            entry.grad = found


def tensor(values, dtype=None, device=None, requires_grad=False):
    if dtype is None and not isinstance(values, np.ndarray):
        values = np.asarray(values)
        dtype = float32 if values.dtype == float64 else None
    return Tensor(values, dtype, requires_grad)


def as_tensor(values):
    return Tensor(values)


def is_grad_enabled():
    return False


from . import autograd  # noqa: E402, F401

from .. import Tensor


class Function:
    def save_for_backward(self, *tensors):
        self.saved_tensors = tensors

    @classmethod
    def apply(cls, *inputs):
        context = Function()
        context.needs_input_grad = tuple(isinstance(entry, Tensor) and entry.requires_grad for entry in inputs)
        output = cls.forward(context, *inputs)
        output.requires_grad = any(context.needs_input_grad)
        output._node = (context, cls, inputs)
        return output

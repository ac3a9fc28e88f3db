"""Four cubics and their slopes at once, as instructions on vectors of four numbers: numba leaves such code scalar."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_INDEX = ir.IntType(32)
_FOUR = ir.VectorType(ir.FloatType(), 4)


@intrinsic
def cubics(typing_context: Any, c: Any, start: Any, y: Any, found: Any, row: Any) -> Any:
    """found[row, :4] = c_0 + c_1 y + c_2 y^2 + c_3 y^3 and found[row, 4:] its slope, with the four vectors of four
    c_n = c[start + 4 n :][:4]. c [numbers], found [rows, 8] float32, contiguous; nothing checks start and row."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def vectors(place: int, first: Any) -> Any:
            array = context.make_array(signature.args[place])(context, builder, arguments[place])
            return builder.bitcast(builder.gep(array.data, [first]), _FOUR.as_pointer())

        def load(n: int) -> Any:
            loaded = builder.load(builder.gep(cell, [ir.Constant(_INDEX, n)]))
            loaded.align = 4
            return loaded

        def plus(product: tuple[Any, Any], addend: Any) -> Any:
            return builder.fadd(builder.fmul(*product, flags=["contract"]), addend, flags=["contract"])

        def times(factor: float, vector: Any) -> Any:
            return builder.fmul(vector, ir.Constant(_FOUR, [factor] * 4))

        _, start, y, _, row = arguments
        cell, into = vectors(0, start), vectors(3, builder.mul(row, ir.Constant(row.type, 8)))
        c_0, c_1, c_2, c_3 = (load(n) for n in range(4))
        undefined = ir.Constant(_FOUR, ir.Undefined)
        first = builder.insert_element(undefined, y, ir.Constant(_INDEX, 0))
        ys = builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INDEX, 4), [0] * 4))
        value = plus((plus((plus((c_3, ys), c_2), ys), c_1), ys), c_0)
        slope = plus((plus((times(3.0, c_3), ys), times(2.0, c_2)), ys), c_1)
        for n, vector in enumerate((value, slope)):
            builder.store(vector, builder.gep(into, [ir.Constant(_INDEX, n)])).align = 4
        return context.get_dummy_value()

    return types.void(c, start, y, found, row), code

"""Which activations a tensor of the forward pass is made of: the data followed from call to call.

A weight is paired with the activation that *feeds* it: the one from which its input comes with the fewest weights in
between, and of several such ones the one that was executed last.

- A norm, pooling, dropout, a reshape or any other call hands on what its inputs are made of. So do sums of branches and
  concatenations: of their inputs the activations with the fewest weights in between count, and of equal ones all.
- A call on a weight puts one weight in between. So in a stream of residual branches onto an activated stem it is the
  stem's activation that feeds every branch, and onto a linear one that of the branch before.
- An activation takes the place of the activations that it receives, which still count.
- A product of two tensors of features, one of them the output of an activation or of a sigmoid, is a gate at work.
  Where both have one shape the product is an activation written out (hard-swish, mish, SiLU, GELU, every GLU): its own
  sign is the pattern, and what it was made of counts no more. Where the gate is the smaller tensor, or is bounded and
  made from the other factor by weights (squeeze and excitation), it only scales: the product is made of what the other
  factor is made of.
- Softmax, comparisons and indices decide how features mix and hand on none: neither the soft cap of attention scores
  nor the clamp of a mask. Attention is made of its values.
- What comes from parameters, buffers and fresh tensors alone is made of no features.

A tensor that no call was seen to make (an autograd function of the user's, for instance) has an unknown origin. A
weight that receives one is paired by the order of execution.
"""

from lswag_fast.observe.lineage.lineage import Lineage, constants_of

__all__ = ["Lineage", "constants_of"]

"""The brightness of a colour: the luma of ITU-R BT.601, used wherever three channels become one."""

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue; they add up to 1

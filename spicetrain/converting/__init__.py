"""A torch model of somebody else's as crossbars: read, mapped, distilled. The way in is `spicetrain.nn.convert`."""
